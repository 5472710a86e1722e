#include "devices/chipset/cfi_flash.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

class RecordingBytes final : public CfiFlash::Bytes {
public:
    void show(bool now) override { readable = now; }
    void changed(uint64_t offset, uint64_t length) override { ranges.push_back({offset, length}); }

    bool readable = true;
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
};

class CfiFlashTest : public ::testing::Test {
protected:
    void write(uint64_t offset, uint64_t value, unsigned size = 1) {
        EXPECT_EQ(flash.mmio_write(offset, size, value), IoStatus::ok);
    }
    uint64_t read(uint64_t offset, unsigned size = 1) {
        uint64_t value = 0;
        EXPECT_EQ(flash.mmio_read(offset, size, value), IoStatus::ok);
        return value;
    }

    std::vector<std::byte> memory = std::vector<std::byte>(4 * CfiFlash::kBlock, std::byte{0xFF});
    RecordingBytes bytes;
    CfiFlash flash{{memory, bytes}};
};

TEST_F(CfiFlashTest, ProgrammingClearsBits) {
    memory[5] = std::byte{0xF0};
    write(5, 0x40);
    EXPECT_FALSE(bytes.readable) << "the status is read, not the bytes";
    write(5, 0x3C);
    EXPECT_EQ(read(5), 0x80U);
    write(5, 0xFF);
    EXPECT_TRUE(bytes.readable);
    EXPECT_EQ(read(5), 0x30U);
    EXPECT_EQ(bytes.ranges, (std::vector<std::pair<uint64_t, uint64_t>>{{5, 1}}));
}

TEST_F(CfiFlashTest, ErasingSetsABlock) {
    std::fill(memory.begin(), memory.end(), std::byte{0});
    write(CfiFlash::kBlock + 7, 0x20);
    write(CfiFlash::kBlock + 7, 0xD0);
    write(0, 0xFF);
    EXPECT_EQ(read(CfiFlash::kBlock - 1), 0U);
    EXPECT_EQ(read(CfiFlash::kBlock, 8), ~0ULL);
    EXPECT_EQ(read(2 * CfiFlash::kBlock - 1), 0xFFU);
    EXPECT_EQ(read(2 * CfiFlash::kBlock), 0U);
}

TEST_F(CfiFlashTest, WithoutConfirmationNothingIsErased) {
    std::fill(memory.begin(), memory.end(), std::byte{0});
    write(0, 0x20);
    write(0, 0xFF);
    EXPECT_EQ(read(0) & 0x30, 0x30U) << "a command sequence error";
    write(0, 0xFF);
    EXPECT_EQ(read(0), 0U);
    write(0, 0x50);
    write(0, 0x70);
    EXPECT_EQ(read(0), 0U) << "cleared";
}

TEST_F(CfiFlashTest, TakesABufferOfBytes) {
    write(0x100, 0xE8);
    EXPECT_EQ(read(0x100) & 0x80, 0x80U) << "there is a buffer";
    write(0x100, 3);
    for (unsigned i = 0; i < 4; ++i)
        write(0x100 + i, 0x10 + i);
    write(0x100, 0xD0);
    EXPECT_EQ(read(0x100), 0x80U);
    write(0x100, 0xFF);
    EXPECT_EQ(read(0x100, 4), 0x13121110U);
}

TEST_F(CfiFlashTest, RefusesABufferThatIsTooLarge) {
    write(0, 0xE8);
    write(0, 32);
    EXPECT_EQ(read(0) & 0x30, 0x30U);
}

// What OVMF does to find out that this is flash (OvmfPkg, QemuFlashFvbServicesRuntimeDxe).
TEST_F(CfiFlashTest, IsToldFromRamAndRom) {
    write(0, 0x50);
    EXPECT_EQ(read(0), 0xFFU) << "the byte, not what was written";
    write(0, 0x70);
    EXPECT_EQ(read(0), 0U) << "the cleared status";
}

TEST_F(CfiFlashTest, DescribesItself) {
    write(0, 0x98);
    EXPECT_EQ(read(0x10) << 16 | read(0x11) << 8 | read(0x12), 0x515259U) << "QRY";
    EXPECT_EQ(read(0x27), 14U) << "16 KiB";
    EXPECT_EQ(read(0x2D), 3U) << "four blocks";
    EXPECT_EQ(read(0x2F) * 256, CfiFlash::kBlock);
    write(0, 0x90);
    EXPECT_EQ(read(0), 0x89U);
    EXPECT_EQ(read(CfiFlash::kBlock + 1), 0x18U);
}

TEST_F(CfiFlashTest, StaysInsideItsBytes) {
    uint64_t value = 0;
    EXPECT_EQ(flash.mmio_read(memory.size() - 1, 2, value), IoStatus::no_register);
    EXPECT_EQ(flash.mmio_write(memory.size(), 1, 0), IoStatus::no_register);
}

TEST_F(CfiFlashTest, ReadOnlyFlashReportsThatItIsLocked) {
    CfiFlash locked({memory, bytes, true});
    for (const unsigned byte : {0x40U, 0x00U})
        EXPECT_EQ(locked.mmio_write(0, 1, byte), IoStatus::ok);
    uint64_t status = 0;
    EXPECT_EQ(locked.mmio_read(0, 1, status), IoStatus::ok);
    EXPECT_EQ(status, 0x92U);
    EXPECT_EQ(memory[0], std::byte{0xFF});
}

TEST(CfiFlashState, HasTheProperties) {
    std::vector<std::byte> memory(CfiFlash::kBlock);
    RecordingBytes bytes;
    check_saved_state(
        [&] {
            return std::make_unique<CfiFlash>(CfiFlash::Wiring{memory, bytes});
        },
        [](CfiFlash& flash) {
            (void)flash.mmio_write(0, 1, 0xE8);
            (void)flash.mmio_write(0, 1, 5);
        });
}

}  // namespace
}  // namespace banyan
