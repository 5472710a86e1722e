#include "machine/memory_map.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace banyan {
namespace {

constexpr uint64_t kMiB = 1ULL << 20;
constexpr uint64_t kGiB = 1ULL << 30;

class MemoryMapOfSize : public testing::TestWithParam<uint64_t> {};

TEST_P(MemoryMapOfSize, HoldsAllRamButTheVgaHole) {
    const auto map = MemoryMap::create(GetParam(), MemoryLayout::compact);
    ASSERT_TRUE(map);
    uint64_t sum = 0;
    for (const GpaRange& range : map->ram())
        sum += range.length;
    EXPECT_EQ(sum + MemoryMap::kVgaHole.length, GetParam());
}

TEST_P(MemoryMapOfSize, ReportsOnlyWhatIsThere) {
    const auto map = MemoryMap::create(GetParam(), MemoryLayout::compact);
    ASSERT_TRUE(map);
    for (const E820Entry& entry : map->e820()) {
        if (entry.type == E820Type::reserved && entry.start >= MemoryMap::kEcam.start) continue;
        const auto inside = [&](const GpaRange& range) {
            return entry.start >= range.start && entry.start + entry.length <= range.end();
        };
        EXPECT_TRUE(std::any_of(map->ram().begin(), map->ram().end(), inside))
            << std::hex << entry.start.value;
    }
}

TEST_P(MemoryMapOfSize, IsSortedAndDoesNotOverlap) {
    const auto map = MemoryMap::create(GetParam(), MemoryLayout::compact);
    ASSERT_TRUE(map);
    for (size_t i = 1; i < map->e820().size(); ++i) {
        const E820Entry& before = map->e820()[i - 1];
        EXPECT_LE(before.start + before.length, map->e820()[i].start);
    }
    for (size_t i = 1; i < map->ram().size(); ++i) {
        EXPECT_LE(map->ram()[i - 1].end(), map->ram()[i].start);
    }
}

TEST_P(MemoryMapOfSize, KeepsPciWindowsFree) {
    const auto map = MemoryMap::create(GetParam(), MemoryLayout::compact);
    ASSERT_TRUE(map);
    for (const GpaRange& window : MemoryMap::pci_windows()) {
        for (const E820Entry& entry : map->e820()) {
            EXPECT_TRUE(entry.start + entry.length <= window.start || window.end() <= entry.start);
        }
        for (const GpaRange& chip :
             {MemoryMap::kEcam, MemoryMap::kIoApic, MemoryMap::kHpet, MemoryMap::kLocalApic}) {
            EXPECT_TRUE(chip.end() <= window.start || window.end() <= chip.start);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, MemoryMapOfSize,
                         testing::Values(MemoryMap::kMinRam, 512 * kMiB, 3 * kGiB, 3 * kGiB + kMiB,
                                         4 * kGiB, MemoryMap::kMaxRam));

TEST(MemoryMap, PutsTheRestAboveFourGiB) {
    const auto map = MemoryMap::create(4 * kGiB, MemoryLayout::compact);
    ASSERT_TRUE(map);
    EXPECT_EQ(map->ram().back(), (GpaRange{MemoryMap::kHighRam, kGiB}));
}

TEST(MemoryMap, RefusesOtherSizesWithAHint) {
    for (const uint64_t size : {uint64_t{0}, kMiB, 513 * kGiB, ~uint64_t{0}}) {
        const auto map = MemoryMap::create(size, MemoryLayout::compact);
        ASSERT_FALSE(map);
        EXPECT_NE(map.error().text().find("between 2M and 512G"), std::string_view::npos);
    }
    const auto odd = MemoryMap::create(5 * kMiB + 1, MemoryLayout::compact);
    ASSERT_FALSE(odd);
    EXPECT_NE(odd.error().text().find("6M"), std::string_view::npos);
}

}  // namespace
}  // namespace banyan
