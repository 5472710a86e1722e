#include "devices/pci/msix.hpp"

#include <gtest/gtest.h>

#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

constexpr uint64_t kControl = 12;  // of an entry of 16 bytes

class MsixTest : public testing::Test {
protected:
    void write(uint64_t offset, uint32_t value) {
        ASSERT_EQ(msix_.mmio_write(offset, 4, value), IoStatus::ok);
    }
    uint64_t read(uint64_t offset, unsigned size = 4) {
        uint64_t value = 0;
        EXPECT_EQ(msix_.mmio_read(offset, size, value), IoStatus::ok);
        return value;
    }
    void program(unsigned vector, uint64_t address, uint32_t data) {
        write(vector * 16, static_cast<uint32_t>(address));
        write(vector * 16 + 4, static_cast<uint32_t>(address >> 32));
        write(vector * 16 + 8, data);
        write(vector * 16 + kControl, 0);
    }
    bool pending(unsigned vector) {
        return (read(msix_.pba_offset() + vector / 64 * 8, 8) >> (vector % 64) & 1) != 0;
    }

    RecordingMsi msi_;
    Msix msix_{70, msi_};
};

TEST_F(MsixTest, SendsTheProgrammedMessage) {
    msix_.set_control(true, false);
    program(3, 0x1'fee0'1000, 0x4041);
    msix_.signal(3);
    ASSERT_EQ(msi_.count(), 1U);
    EXPECT_EQ(msi_.messages()[0], (MsiMessage{0x1'fee0'1000, 0x4041}));
    EXPECT_FALSE(pending(3));
}

TEST_F(MsixTest, AllVectorsAreMaskedAtFirst) {
    msix_.set_control(true, false);
    EXPECT_EQ(read(kControl), 1U);
    EXPECT_EQ(read(69 * 16 + kControl), 1U);
    msix_.signal(69);
    EXPECT_EQ(msi_.count(), 0U);
    EXPECT_TRUE(pending(69));
    EXPECT_FALSE(pending(68));
}

TEST_F(MsixTest, UnmaskingSendsWhatIsPendingOnce) {
    msix_.set_control(true, false);
    msix_.signal(1);
    msix_.signal(1);
    program(1, 0xfee00000, 0x31);
    EXPECT_EQ(msi_.count(), 1U);
    EXPECT_FALSE(pending(1));
    write(16 + kControl, 1);
    write(16 + kControl, 0);
    EXPECT_EQ(msi_.count(), 1U);
}

TEST_F(MsixTest, FunctionMaskHoldsAllBack) {
    msix_.set_control(true, true);
    program(0, 0xfee00000, 0x30);
    program(65, 0xfee00000, 0x35);
    msix_.signal(0);
    msix_.signal(65);
    EXPECT_EQ(msi_.count(), 0U);
    EXPECT_TRUE(pending(65));
    msix_.set_control(true, false);
    EXPECT_EQ(msi_.count(), 2U);
    EXPECT_FALSE(pending(65));
}

TEST_F(MsixTest, IsSilentWhileOff) {
    program(0, 0xfee00000, 0x30);
    msix_.signal(0);
    EXPECT_EQ(msi_.count(), 0U);
    EXPECT_FALSE(pending(0));
}

TEST_F(MsixTest, IgnoresVectorsThatDoNotExist) {
    msix_.set_control(true, false);
    msix_.signal(70);
    msix_.signal(0xffff);
    EXPECT_EQ(read(msix_.pba_offset() + 8, 8), 0U);
    write(70 * 16, 0xfee00000);
    EXPECT_EQ(read(70 * 16), 0U);
}

TEST_F(MsixTest, TakesWholeAlignedWordsOnly) {
    uint64_t value = 0;
    EXPECT_EQ(msix_.mmio_write(0, 2, 1), IoStatus::bad_size);
    EXPECT_EQ(msix_.mmio_read(1, 1, value), IoStatus::bad_size);
    EXPECT_EQ(msix_.mmio_read(2, 4, value), IoStatus::bad_size);
    ASSERT_EQ(msix_.mmio_write(0, 8, 0x1234'5678'9abc'def3), IoStatus::ok);
    EXPECT_EQ(read(0), 0x9abcdef0U) << "the low bits of an address are zero";
    EXPECT_EQ(read(4), 0x12345678U);
    EXPECT_EQ(read(0, 8), 0x1234'5678'9abc'def0U);
}

TEST_F(MsixTest, PendingBitsAreReadOnly) {
    write(msix_.pba_offset(), ~0U);
    EXPECT_EQ(read(msix_.pba_offset()), 0U);
    EXPECT_EQ(read(msix_.bar_size() - 4), 0U);
}

TEST_F(MsixTest, TableAndPendingBitsDoNotOverlap) {
    Msix small(1, msi_);
    Msix large(Msix::kMaxVectors, msi_);
    EXPECT_EQ(small.bar_size(), 4096U);
    EXPECT_EQ(large.pba_offset(), 2048U * 16);
}

TEST_F(MsixTest, RefusesStateThatDoesNotFit) {
    Msix other(71, msi_);
    const auto bytes = saved_bytes(other);
    StateReader reader(bytes);
    EXPECT_FALSE(msix_.restore(reader));
}

TEST(MsixState, HasTheProperties) {
    RecordingMsi msi;
    check_saved_state([&] { return std::make_unique<Msix>(70U, msi); },
                      [](Msix& msix) {
                          msix.set_control(true, false);
                          (void)msix.mmio_write(16, 8, 0xfee01000);
                          (void)msix.mmio_write(24, 8, 0x31);
                          msix.signal(2);
                      });
}

}  // namespace
}  // namespace banyan
