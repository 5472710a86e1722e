#include "devices/scsi/scsi_cdrom.hpp"

#include <gtest/gtest.h>

#include "devices/scsi/testing/scsi_initiator.hpp"

namespace banyan {
namespace {

using namespace scsi;

constexpr uint32_t kBlocks = 450;  // six seconds

class ScsiCdromTest : public testing::Test {
protected:
    void SetUp() override { (void)initiator_.send({0x00}); }
    char* block(uint64_t number) {
        return reinterpret_cast<char*>(disc_.bytes().data()) + number * 2048;
    }
    uint8_t eject() { return initiator_.send({0x1b, 0, 0, 0, 2}); }
    uint8_t load() { return initiator_.send({0x1b, 0, 0, 0, 3}); }

    MemoryBlock disc_{kBlocks * 2048 + 100, true};
    ScsiCdrom unit_{{}, disc_};
    ScsiInitiator initiator_{unit_};
};

TEST_F(ScsiCdromTest, IsARemovableDrive) {
    EXPECT_EQ(initiator_.send({0x12, 0, 0, 0, 36}), kStatusGood);
    EXPECT_EQ(initiator_.number(0, 2), 0x0580U);
    EXPECT_EQ(initiator_.send({0x25}), kStatusGood);
    EXPECT_EQ(initiator_.number(0, 4), kBlocks - 1) << "a part of a block is left out";
    EXPECT_EQ(initiator_.number(4, 4), 2048U);
}

TEST_F(ScsiCdromTest, ReadsBlocks) {
    std::fill_n(block(3), 4096, 'c');
    EXPECT_EQ(initiator_.send({0x28, 0, 0, 0, 0, 3, 0, 0, 2}), kStatusGood);
    EXPECT_EQ(initiator_.peek(4096), std::string(4096, 'c'));
    EXPECT_EQ(initiator_.send({0xa8, 0, 0, 0, 0, 4, 0, 0, 0, 1}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 2048U);
    EXPECT_EQ(initiator_.send({0x28, 0, 0, 0, 0x01, 0xc1, 0, 0, 2}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kLbaOutOfRange);
    EXPECT_EQ(initiator_.send({0x2a, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusCheckCondition)
        << "no writes";
}

// MMC-6, 6.19.
TEST_F(ScsiCdromTest, ReadsUserDataByReadCd) {
    std::fill_n(block(3), 2048, 'd');
    EXPECT_EQ(initiator_.send({0xbe, 0, 0, 0, 0, 3, 0, 0, 1, 0x10}), kStatusGood);
    EXPECT_EQ(initiator_.peek(2048), std::string(2048, 'd'));
    EXPECT_EQ(initiator_.send({0xbe, 0, 0, 0, 0, 3, 0, 0, 1, 0xf8}), kStatusCheckCondition)
        << "raw";
    EXPECT_EQ(initiator_.sense(), kIllegalModeForTrack);
    EXPECT_EQ(initiator_.send({0xbe, 4, 0, 0, 0, 3, 0, 0, 1, 0x10}), kStatusCheckCondition)
        << "audio";
    EXPECT_EQ(initiator_.send({0xbe, 0, 0, 0, 0, 3, 0, 0, 1, 0}), kStatusGood) << "nothing";
    EXPECT_EQ(initiator_.moved, 0U);
}

// MMC-6, 6.25.
TEST_F(ScsiCdromTest, HasATableOfContents) {
    EXPECT_EQ(initiator_.send({0x43, 0, 0, 0, 0, 0, 0, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.peek(4), std::string("\0\x12\1\1", 4));
    EXPECT_EQ(initiator_.number(6, 1), 1U);
    EXPECT_EQ(initiator_.number(14, 1), 0xaaU);
    EXPECT_EQ(initiator_.number(16, 4), kBlocks);
    EXPECT_EQ(initiator_.send({0x43, 2, 0, 0, 0, 0, 0xaa, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 12U);
    EXPECT_EQ(initiator_.number(8, 4), 0x000800U) << "6 s and the 2 s before the first block";
    EXPECT_EQ(initiator_.send({0x43, 0, 1, 0, 0, 0, 0, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 12U);
    EXPECT_EQ(initiator_.send({0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0x80}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 48U) << "format 2 where old drives have it";
    EXPECT_EQ(initiator_.number(4 + 22 + 8, 3), 0x000800U) << "the lead-out";
    EXPECT_EQ(initiator_.send({0x43, 0, 0, 0, 0, 0, 2, 0, 255}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.send({0x43, 0, 5, 0, 0, 0, 0, 0, 255}), kStatusCheckCondition);
}

// MMC-6, 6.5.
TEST_F(ScsiCdromTest, DescribesItsFeatures) {
    EXPECT_EQ(initiator_.send({0x46, 0, 0, 0, 0, 0, 0, 1, 0}), kStatusGood);
    EXPECT_EQ(initiator_.number(0, 4) + 4, initiator_.moved);
    EXPECT_EQ(initiator_.number(6, 2), 8U) << "CD-ROM";
    EXPECT_EQ(initiator_.send({0x46, 2, 0, 3, 0, 0, 0, 1, 0}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 16U);
    EXPECT_EQ(initiator_.number(8, 2), 3U);
    EXPECT_EQ(initiator_.send({0x46, 2, 1, 0, 0, 0, 0, 1, 0}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 8U) << "no such feature";
    EXPECT_EQ(initiator_.send({0x46, 3, 0, 0, 0, 0, 0, 1, 0}), kStatusCheckCondition);
}

TEST_F(ScsiCdromTest, EjectsAndLoads) {
    EXPECT_EQ(initiator_.send({0x1e, 0, 0, 0, 1}), kStatusGood);
    EXPECT_EQ(eject(), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kRemovalPrevented);
    EXPECT_EQ(initiator_.send({0x1e}), kStatusGood);
    EXPECT_EQ(eject(), kStatusGood);
    EXPECT_EQ(initiator_.send({0x28, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kTrayOpen);
    EXPECT_EQ(initiator_.send({0x43, 0, 0, 0, 0, 0, 0, 0, 255}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.send({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}), kStatusGood);
    EXPECT_EQ(initiator_.number(4, 2), 0x0301U) << "removed, the door is open";
    EXPECT_EQ(load(), kStatusGood);
    EXPECT_EQ(initiator_.send({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}), kStatusGood)
        << "not stopped by it";
    EXPECT_EQ(initiator_.number(4, 2), 0x0202U) << "new, and present";
    EXPECT_EQ(initiator_.send({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}), kStatusGood);
    EXPECT_EQ(initiator_.number(4, 2), 0x0002U);
    EXPECT_EQ(initiator_.send({0x00}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kMediumChanged);
    EXPECT_EQ(initiator_.send({0x00}), kStatusGood);
}

TEST_F(ScsiCdromTest, AnswersWhatSystemsAsk) {
    EXPECT_EQ(initiator_.send({0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8}), kStatusCheckCondition)
        << "not polled";
    EXPECT_EQ(initiator_.send({0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8}), kStatusGood);
    EXPECT_EQ(initiator_.number(0, 4), 0x00028010U) << "no such class";
    EXPECT_EQ(initiator_.send({0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8}), kStatusGood);
    EXPECT_EQ(initiator_.send({0x51, 0, 0, 0, 0, 0, 0, 0, 34}), kStatusGood);
    EXPECT_EQ(initiator_.number(0, 4), 0x00200e01U);
    EXPECT_EQ(initiator_.send({0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 28U);
    EXPECT_EQ(initiator_.number(8, 2), 0x2a12U);
    EXPECT_EQ(initiator_.send({0x1a, 0, 0x3f, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 4U + 12 + 20);
}

}  // namespace
}  // namespace banyan
