#include "devices/scsi/scsi_disk.hpp"

#include <gtest/gtest.h>

#include "devices/scsi/testing/scsi_initiator.hpp"

namespace banyan {
namespace {

using namespace scsi;

constexpr uint64_t kSectors = 2048;

class ScsiDiskTest : public testing::Test {
protected:
    void SetUp() override {
        EXPECT_EQ(initiator_.send({0x00}), kStatusCheckCondition) << "attention";
    }
    char* disk(uint64_t sector) {
        return reinterpret_cast<char*>(disk_.bytes().data()) + sector * 512;
    }

    MemoryBlock disk_{kSectors * 512};
    ScsiDisk unit_{{.serial = "s\tnumber"}, disk_};
    ScsiInitiator initiator_{unit_};
};

// SPC-4, 4.5 and SAM-5, 5.14.
TEST(ScsiDiskAttention, IsReportedOnceAndNotByInquiry) {
    MemoryBlock disk(512);
    ScsiDisk unit({}, disk);
    ScsiInitiator initiator(unit);
    EXPECT_EQ(initiator.send({0x12, 0, 0, 0, 36}), kStatusGood);
    EXPECT_EQ(initiator.send({0x00}), kStatusCheckCondition);
    EXPECT_EQ(initiator.sense(), kPowerOnOrReset);
    EXPECT_EQ(initiator.send({0x03, 0, 0, 0, 18}), kStatusGood);
    EXPECT_EQ(initiator.number(0, 1), 0x70U);
    EXPECT_EQ(initiator.number(2, 1), 6U);
    EXPECT_EQ(initiator.number(12, 1), 0x29U);
    EXPECT_EQ(initiator.send({0x03, 0, 0, 0, 18}), kStatusGood);
    EXPECT_EQ(initiator.number(2, 1), 0U) << "told already";
    EXPECT_EQ(initiator.send({0x00}), kStatusGood);
}

// SPC-4, 6.6.2.
TEST_F(ScsiDiskTest, Inquires) {
    EXPECT_EQ(initiator_.send({0x12, 0, 0, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 36U);
    EXPECT_EQ(initiator_.peek(8), std::string("\0\0\5\2\x1f\0\0\2", 8));
    EXPECT_EQ(initiator_.peek(24, ScsiInitiator::kBuffer + 8), "BANYAN  Disk            ");
    EXPECT_EQ(initiator_.send({0x12, 0, 0, 0, 5}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 5U) << "the allocation length";
    EXPECT_EQ(initiator_.send({0x12, 0, 1, 0, 36}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kInvalidFieldInCdb);
}

// SPC-4, 7.8 and SBC-3, 6.6.
TEST_F(ScsiDiskTest, GivesVitalProductData) {
    EXPECT_EQ(initiator_.send({0x12, 1, 0x00, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.peek(10), std::string("\0\0\0\6\0\x80\x83\xb0\xb1\xb2", 10));
    EXPECT_EQ(initiator_.send({0x12, 1, 0x80, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.peek(24), std::string("\0\x80\0\x14s_number            ", 24));
    EXPECT_EQ(initiator_.send({0x12, 1, 0x83, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.number(3, 1), 32U);
    EXPECT_EQ(initiator_.send({0x12, 1, 0xb0, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 64U);
    EXPECT_EQ(initiator_.number(24, 4), 64U) << "unmap descriptors";
    EXPECT_EQ(initiator_.send({0x12, 1, 0xb1, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.number(4, 2), 1U);
    EXPECT_EQ(initiator_.send({0x12, 1, 0xb2, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.number(5, 1), 0xe0U);
    EXPECT_EQ(initiator_.send({0x12, 1, 0xc0, 0, 255}), kStatusCheckCondition);
}

// SBC-3, 5.15 and 5.16.
TEST_F(ScsiDiskTest, TellsItsCapacity) {
    EXPECT_EQ(initiator_.send({0x25}), kStatusGood);
    EXPECT_EQ(initiator_.number(0, 4), kSectors - 1);
    EXPECT_EQ(initiator_.number(4, 4), 512U);
    EXPECT_EQ(initiator_.send({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32}), kStatusGood);
    EXPECT_EQ(initiator_.number(0, 8), kSectors - 1);
    EXPECT_EQ(initiator_.number(8, 4), 512U);
    EXPECT_EQ(initiator_.number(14, 1), 0x80U);
    EXPECT_EQ(initiator_.send({0x9e, 0x11}), kStatusCheckCondition);
}

// The same four sectors from 3 on, by each length of command block (SBC-3, 5.6 to 5.10).
TEST_F(ScsiDiskTest, ReadsAndWritesByEachCommandLength) {
    const std::vector<std::vector<uint8_t>> blocks{
        {0x08, 0, 0, 3, 4},
        {0x28, 0, 0, 0, 0, 3, 0, 0, 4},
        {0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 4},
        {0x88, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4},
    };
    char fill = 'a';
    for (std::vector<uint8_t> cdb : blocks) {
        std::fill_n(disk(3), 2048, ++fill);
        EXPECT_EQ(initiator_.send(cdb), kStatusGood);
        EXPECT_EQ(initiator_.moved, 2048U);
        EXPECT_EQ(initiator_.peek(2048), std::string(2048, fill));
        initiator_.poke(std::string(2048, ++fill));
        cdb[0] = static_cast<uint8_t>(cdb[0] + 2);
        EXPECT_EQ(initiator_.send(cdb), kStatusGood);
        EXPECT_EQ(std::string(disk(3), 2048), std::string(2048, fill));
    }
    EXPECT_EQ(initiator_.send({0x08, 0, 0, 0, 0}, 512 * 256), kStatusGood);
    EXPECT_EQ(initiator_.moved, 512U * 256) << "SBC-3, 5.6: 0 is 256";
    EXPECT_EQ(initiator_.send({0x28}), kStatusGood);
    EXPECT_EQ(initiator_.moved, 0U) << "and in the others nothing";
}

TEST_F(ScsiDiskTest, ChecksRanges) {
    EXPECT_EQ(initiator_.send({0x28, 0, 0, 0, 0x08, 0, 0, 0, 1}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kLbaOutOfRange);
    EXPECT_EQ(initiator_.send({0x28, 0, 0, 0, 0x07, 0xff, 0, 0, 2}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.send({0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2}),
              kStatusCheckCondition);
    EXPECT_EQ(initiator_.send({0x28, 0x20, 0, 0, 0, 0, 0, 0, 1}), kStatusCheckCondition)
        << "protection";
    EXPECT_EQ(initiator_.sense(), kInvalidFieldInCdb);
    EXPECT_EQ(initiator_.send({0xff}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kInvalidOpcode);
}

TEST_F(ScsiDiskTest, FlushesWhenItIsTold) {
    EXPECT_EQ(initiator_.send({0x35}), kStatusGood);
    EXPECT_EQ(disk_.flushes(), 1U);
    EXPECT_EQ(initiator_.send({0x2a, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusGood);
    EXPECT_EQ(disk_.flushes(), 1U);
    EXPECT_EQ(initiator_.send({0x2a, 8, 0, 0, 0, 0, 0, 0, 1}), kStatusGood);
    EXPECT_EQ(disk_.flushes(), 2U) << "FUA";
}

// SPC-4, 6.9: the write cache can be switched off, and then each write is through.
TEST_F(ScsiDiskTest, SwitchesTheWriteCacheOff) {
    EXPECT_EQ(initiator_.send({0x1a, 8, 0x08, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.number(6, 1), 4U) << "WCE";
    const std::string off = std::string("\0\0\0\0\x08\x12", 6) + std::string(18, '\0');
    initiator_.poke(off);
    EXPECT_EQ(initiator_.send({0x15, 0x10, 0, 0, 24}), kStatusGood);
    EXPECT_EQ(initiator_.send({0x1a, 8, 0x08, 0, 255}), kStatusGood);
    EXPECT_EQ(initiator_.number(6, 1), 0U);
    EXPECT_EQ(initiator_.send({0x2a, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusGood);
    EXPECT_EQ(disk_.flushes(), 1U);
    initiator_.poke(std::string("\0\0\0\0\x3e\x12", 6));
    EXPECT_EQ(initiator_.send({0x15, 0x10, 0, 0, 24}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kInvalidFieldInParameters);
}

TEST_F(ScsiDiskTest, SensesAllModePages) {
    EXPECT_EQ(initiator_.send({0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0}), kStatusGood);
    EXPECT_EQ(initiator_.number(0, 2) + 2, initiator_.moved);
    EXPECT_EQ(initiator_.number(6, 2), 8U) << "a block descriptor";
    EXPECT_EQ(initiator_.number(8 + 5, 3), 512U);
    EXPECT_EQ(initiator_.send({0x1a, 0, 0xc8, 0, 255}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kSavingNotSupported);
    EXPECT_EQ(initiator_.send({0x1a, 0, 0x1c, 0, 255}), kStatusCheckCondition);
}

// SBC-3, 5.28.
TEST_F(ScsiDiskTest, UnmapsEachRange) {
    std::string list("\0\x26\0\x20\0\0\0\0", 8);
    list += std::string("\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0\0", 16);
    list += std::string("\0\0\0\0\0\0\0\x10\0\0\0\4\0\0\0\0", 16);
    initiator_.poke(list);
    EXPECT_EQ(initiator_.send({0x42, 0, 0, 0, 0, 0, 0, 0, 40}), kStatusGood);
    EXPECT_EQ(disk_.discards(), 2U);
    list[8 + 6] = 0x7f;
    initiator_.poke(list);
    EXPECT_EQ(initiator_.send({0x42, 0, 0, 0, 0, 0, 0, 0, 40}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kLbaOutOfRange);
    list[3] = 0x21;
    initiator_.poke(list);
    EXPECT_EQ(initiator_.send({0x42, 0, 0, 0, 0, 0, 0, 0, 40}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kInvalidFieldInParameters);
    EXPECT_EQ(initiator_.send({0x42, 0, 0, 0, 0, 0, 0, 0xff, 0xff}), kStatusCheckCondition)
        << "too long";
    EXPECT_EQ(disk_.discards(), 2U);
}

// SBC-3, 5.46.
TEST_F(ScsiDiskTest, WritesTheSame) {
    initiator_.poke(std::string(512, 'x'));
    EXPECT_EQ(initiator_.send({0x41, 0, 0, 0, 0, 1, 0, 1, 0x2c}), kStatusGood);
    EXPECT_EQ(*disk(0), '\0');
    EXPECT_EQ(std::string(disk(1), 300 * 512), std::string(300 * 512, 'x'));
    EXPECT_EQ(*disk(301), '\0');
    initiator_.poke(std::string(512, '\0'));
    EXPECT_EQ(initiator_.send({0x93, 8, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2}), kStatusGood);
    EXPECT_EQ(*disk(1), 'x');
    EXPECT_EQ(std::string(disk(2), 1024), std::string(1024, '\0'));
    EXPECT_EQ(initiator_.send({0x41}), kStatusCheckCondition) << "to the end: not here";
}

TEST_F(ScsiDiskTest, StopsAndStarts) {
    EXPECT_EQ(initiator_.send({0x1b}), kStatusGood);
    EXPECT_EQ(disk_.flushes(), 1U);
    EXPECT_EQ(initiator_.send({0x28, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kInitializingRequired);
    EXPECT_EQ(initiator_.send({0x1b, 0, 0, 0, 1}), kStatusGood);
    EXPECT_EQ(initiator_.send({0x28, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusGood);
}

TEST_F(ScsiDiskTest, TellsOfErrors) {
    disk_.fail_with(BlockStatus::io_error);
    EXPECT_EQ(initiator_.send({0x28, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kReadError);
    EXPECT_EQ(initiator_.send({0x2a, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kWriteError);
    EXPECT_EQ(initiator_.send({0x28, 0, 0, 0, 0, 0, 0, 0, 1},
                              std::vector<DmaSegment>{{Gpa{1ULL << 40}, 512}}),
              kStatusCheckCondition);
    EXPECT_EQ(initiator_.sense(), kInternalFailure);
}

TEST(ScsiDiskReadOnly, RefusesToChangeAnything) {
    MemoryBlock disk(kSectors * 512, true);
    ScsiDisk unit({}, disk);
    ScsiInitiator initiator(unit);
    (void)initiator.send({0x00});
    EXPECT_EQ(initiator.send({0x2a, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusCheckCondition);
    EXPECT_EQ(initiator.sense(), kWriteProtected);
    EXPECT_EQ(initiator.send({0x41, 0, 0, 0, 0, 0, 0, 0, 1}), kStatusCheckCondition);
    EXPECT_EQ(initiator.send({0x42, 0, 0, 0, 0, 0, 0, 0, 8}), kStatusCheckCondition);
    EXPECT_EQ(initiator.send({0x1a, 0, 0x08, 0, 4}), kStatusGood);
    EXPECT_EQ(initiator.number(2, 1), 0x90U) << "write-protected";
}

TEST(ScsiUnitState, IsValidated) {
    MemoryBlock disk(512);
    ScsiDisk unit({}, disk);
    ScsiUnitStateV1 state = unit.state();
    state.sense_key = 16;
    EXPECT_FALSE(unit.restore(state));
    state.sense_key = 5;
    state.tray_open = true;
    EXPECT_FALSE(unit.restore(state)) << "a disk has no tray";
    state.tray_open = false;
    EXPECT_TRUE(unit.restore(state));
}

}  // namespace
}  // namespace banyan
