#include "machine/smbios/smbios.hpp"

#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <span>
#include <string>

namespace banyan::smbios {
namespace {

constexpr uint64_t kGib = 1ULL << 30;

unsigned sum(std::span<const std::byte> bytes) {
    return std::accumulate(
               bytes.begin(), bytes.end(), 0U,
               [](unsigned s, std::byte b) { return s + std::to_integer<unsigned>(b); }) &
           0xFF;
}

// Walks as section 6.1.2 says: a structure is followed by strings and two zeroes.
std::map<unsigned, unsigned> count_types(const Tables& tables) {
    std::map<unsigned, unsigned> types;
    size_t at = 0;
    while (at + 4 <= tables.bytes.size()) {
        ++types[std::to_integer<unsigned>(tables.bytes[at])];
        at += std::to_integer<size_t>(tables.bytes[at + 1]);
        while (at + 1 < tables.bytes.size() &&
               (tables.bytes[at] != std::byte{0} || tables.bytes[at + 1] != std::byte{0}))
            ++at;
        at += 2;
    }
    EXPECT_EQ(at, tables.bytes.size());
    return types;
}

TEST(Smbios, HasTheRequiredStructures) {
    const Tables tables = build_tables({.cpu_count = 3, .ram_size = 4 * kGib, .low_ram = 2 * kGib});
    const auto types = count_types(tables);
    EXPECT_EQ(types,
              (std::map<unsigned, unsigned>{
                  {0, 1}, {1, 1}, {3, 1}, {4, 3}, {16, 1}, {17, 1}, {19, 2}, {32, 1}, {127, 1}}));
    EXPECT_EQ(tables.count, 12U);
}

TEST(Smbios, OneRangeOfMemoryBelowFourGib) {
    const auto types = count_types(build_tables({.ram_size = kGib, .low_ram = kGib}));
    EXPECT_EQ(types.at(19), 1U);
}

// Section 7.2.1: the UUID 00112233-4455-6677-8899-AABBCCDDEEFF.
TEST(Smbios, TheUuidIsInTheOrderOfTheWire) {
    MachineFacts facts{.ram_size = kGib, .low_ram = kGib};
    for (unsigned i = 0; i < 16; ++i)
        facts.uuid[i] = static_cast<uint8_t>(0x11 * i);
    const Tables tables = build_tables(facts);
    const std::string bytes(reinterpret_cast<const char*>(tables.bytes.data()),
                            tables.bytes.size());
    const std::string written("\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xAA", 11);
    EXPECT_NE(bytes.find(written), std::string::npos);
}

TEST(Smbios, TheEntryPointAddsUp) {
    const Tables tables = build_tables({.ram_size = kGib, .low_ram = kGib});
    const auto entry = build_entry_point(tables, 0xF0000);
    ASSERT_EQ(entry.size(), 0x1FU);
    EXPECT_EQ(sum(entry), 0U);
    EXPECT_EQ(sum(std::span(entry).subspan(0x10)), 0U);
}

}  // namespace
}  // namespace banyan::smbios
