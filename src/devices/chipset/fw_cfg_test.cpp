#include "devices/chipset/fw_cfg.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

constexpr uint64_t kRamSize = 64 * 1024;
constexpr uint32_t kRead = 2;
constexpr uint32_t kSkip = 4;
constexpr uint32_t kSelect = 8;
constexpr uint32_t kWrite = 16;

std::vector<std::byte> bytes(std::string_view text) {
    const auto view = std::as_bytes(std::span(text.data(), text.size()));
    return {view.begin(), view.end()};
}

struct FwCfgBoard {
    FakeRam ram{kRamSize};
    FwCfg chip{{ram.memory()}};

    void select(unsigned key) { EXPECT_EQ(chip.port_write(0x510, 2, key), IoStatus::ok); }
    uint8_t next() {
        uint32_t value = 0;
        EXPECT_EQ(chip.port_read(0x511, 1, value), IoStatus::ok);
        return static_cast<uint8_t>(value);
    }
    std::string next(size_t count) {
        std::string text;
        for (size_t i = 0; i < count; ++i)
            text += static_cast<char>(next());
        return text;
    }
    uint32_t next_be32() {
        uint32_t value = 0;
        for (int i = 0; i < 4; ++i)
            value = value << 8 | next();
        return value;
    }
    // Runs a DMA request from a descriptor at 0x1000; what its control field holds afterwards.
    uint32_t dma(uint32_t control, uint32_t length, uint64_t address) {
        const uint32_t words[4] = {__builtin_bswap32(control), __builtin_bswap32(length),
                                   __builtin_bswap32(static_cast<uint32_t>(address >> 32)),
                                   __builtin_bswap32(static_cast<uint32_t>(address))};
        EXPECT_TRUE(ram.memory().write_object({0x1000}, words));
        start(0x1000);
        uint32_t result = 0;
        EXPECT_TRUE(ram.memory().read_object({0x1000}, result));
        return __builtin_bswap32(result);
    }
    void start(uint64_t descriptor) {
        EXPECT_EQ(
            chip.port_write(0x514, 4, __builtin_bswap32(static_cast<uint32_t>(descriptor >> 32))),
            IoStatus::ok);
        EXPECT_EQ(chip.port_write(0x518, 4, __builtin_bswap32(static_cast<uint32_t>(descriptor))),
                  IoStatus::ok);
    }
    std::string memory(uint64_t at, size_t count) {
        std::string text(count, '?');
        EXPECT_TRUE(ram.memory().read({at}, std::as_writable_bytes(std::span(text.data(), count))));
        return text;
    }
};

TEST(FwCfg, SignatureAndFeatures) {
    FwCfgBoard b;
    b.select(0x00);
    EXPECT_EQ(b.next(4), "QEMU");
    b.select(0x01);
    EXPECT_EQ(b.next(4), std::string("\x03\0\0\0", 4));
}

TEST(FwCfg, ItemsReadZeroesBehindTheirEnd) {
    FwCfgBoard b;
    ASSERT_TRUE(b.chip.add_item(0x05, bytes("abc")));
    b.select(0x05);
    EXPECT_EQ(b.next(5), std::string("abc\0\0", 5));
    b.select(0x05);
    EXPECT_EQ(b.next(1), "a") << "selecting starts over";
    b.select(0x06);
    EXPECT_EQ(b.next(2), std::string("\0\0", 2)) << "no such item";
}

TEST(FwCfg, ArchitectureItemsAreApart) {
    FwCfgBoard b;
    ASSERT_TRUE(b.chip.add_item(0x8000, bytes("arch")));
    b.select(0x8000);
    EXPECT_EQ(b.next(4), "arch");
    b.select(0x4000);
    EXPECT_EQ(b.next(4), "QEMU") << "bit 14 asks for write access only";
}

TEST(FwCfg, DirectoryListsFilesWithTheirKeys) {
    FwCfgBoard b;
    ASSERT_TRUE(b.chip.add_file("etc/one", bytes("first")));
    ASSERT_TRUE(b.chip.add_file("opt/org.example/two", bytes("second!")));
    b.select(0x19);
    EXPECT_EQ(b.next_be32(), 2U);
    EXPECT_EQ(b.next_be32(), 5U);
    EXPECT_EQ(b.next_be32(), 0x00200000U);
    EXPECT_EQ(b.next(56), "etc/one" + std::string(49, '\0'));
    EXPECT_EQ(b.next_be32(), 7U);
    EXPECT_EQ(b.next_be32(), 0x00210000U);
    EXPECT_EQ(b.next(56), "opt/org.example/two" + std::string(37, '\0'));
    b.select(0x21);
    EXPECT_EQ(b.next(7), "second!");
}

TEST(FwCfg, RefusesWhatCannotBeAdded) {
    FwCfgBoard b;
    EXPECT_FALSE(b.chip.add_item(0x00, {})) << "the signature's key";
    EXPECT_FALSE(b.chip.add_item(0x20, {})) << "a file's key";
    EXPECT_FALSE(b.chip.add_item(0x8020, {}));
    EXPECT_FALSE(b.chip.add_file("", {}));
    EXPECT_FALSE(b.chip.add_file(std::string(56, 'n'), {}));
    EXPECT_TRUE(b.chip.add_file(std::string(55, 'n'), {}));
    EXPECT_FALSE(b.chip.add_file(std::string(55, 'n'), {})) << "twice the same name";
}

TEST(FwCfg, DmaPortShowsItsSignature) {
    FwCfgBoard b;
    uint32_t value = 0;
    EXPECT_EQ(b.chip.port_read(0x514, 4, value), IoStatus::ok);
    EXPECT_EQ(value, __builtin_bswap32(0x51454D55));
    EXPECT_EQ(b.chip.port_read(0x518, 4, value), IoStatus::ok);
    EXPECT_EQ(value, __builtin_bswap32(0x20434647));
    EXPECT_EQ(b.chip.port_read(0x51A, 4, value), IoStatus::no_register);
}

TEST(FwCfg, DmaSelectsSkipsAndReads) {
    FwCfgBoard b;
    ASSERT_TRUE(b.chip.add_file("f", bytes("0123456789")));
    EXPECT_EQ(b.dma(0x20U << 16 | kSelect | kRead, 3, 0x2000), 0U);
    EXPECT_EQ(b.memory(0x2000, 3), "012");
    EXPECT_EQ(b.dma(kSkip, 4, 0), 0U);
    EXPECT_EQ(b.dma(kRead, 5, 0x2000), 0U);
    EXPECT_EQ(b.memory(0x2000, 5), std::string("789\0\0", 5));
    EXPECT_EQ(b.dma(0x20U << 16 | kSelect, 0, 0), 0U);
    EXPECT_EQ(b.next(2), "01");
}

TEST(FwCfg, DmaErrors) {
    FwCfgBoard b;
    EXPECT_EQ(b.dma(kWrite, 4, 0x2000), 1U) << "items cannot be written";
    EXPECT_EQ(b.dma(kRead, 4, kRamSize - 2), 1U) << "half outside of memory";
    EXPECT_EQ(b.dma(kRead, 4, ~uint64_t{0} - 1), 1U);
    EXPECT_EQ(b.dma(kRead, 0xFFFFFFFF, 0), 1U);
    EXPECT_EQ(b.dma(kRead, 0, ~uint64_t{0}), 0U) << "nothing to do";
}

TEST(FwCfg, DescriptorOutsideOfMemoryIsIgnored) {
    FwCfgBoard b;
    b.start(kRamSize - 8);
    b.start(0xFFFF'FFFF'FFFF'FFF8);
    b.select(0);
    EXPECT_EQ(b.next(4), "QEMU");
}

TEST(FwCfg, AddressHighHalfCountsOnce) {
    FwCfgBoard b;
    b.start(uint64_t{1} << 32 | 0x1000);  // no memory there
    const uint32_t select_signature[4] = {__builtin_bswap32(kSelect | kRead), __builtin_bswap32(4),
                                          0, __builtin_bswap32(0x2000)};
    ASSERT_TRUE(b.ram.memory().write_object({0x1000}, select_signature));
    EXPECT_EQ(b.chip.port_write(0x518, 4, __builtin_bswap32(0x1000)), IoStatus::ok);
    EXPECT_EQ(b.memory(0x2000, 4), "QEMU");
}

TEST(FwCfg, SkippingNeverWrapsAround) {
    FwCfgBoard b;
    b.select(0);
    b.dma(kSkip, 0xFFFFFFFF, 0);
    b.dma(kSkip, 0xFFFFFFFF, 0);
    EXPECT_EQ(b.next(4), std::string(4, '\0'));
}

TEST(FwCfg, GuestWritesToItemsVanish) {
    FwCfgBoard b;
    b.select(0);
    EXPECT_EQ(b.chip.port_write(0x511, 1, 'X'), IoStatus::ok);
    EXPECT_EQ(b.next(4), "QEMU");
}

TEST(FwCfg, SavesItsState) {
    std::vector<std::unique_ptr<FwCfgBoard>> boards;
    const auto make = [&] {
        boards.push_back(std::make_unique<FwCfgBoard>());
        EXPECT_TRUE(boards.back()->chip.add_file("f", bytes("0123456789")));
        return &boards.back()->chip;
    };
    const auto use = [&](FwCfg& chip) {
        FwCfgBoard& b = *boards[1];
        b.select(0x20);
        b.next(3);
        chip.port_write(0x514, 4, 0x12345678);
    };
    check_saved_state(make, use);
}

}  // namespace
}  // namespace banyan
