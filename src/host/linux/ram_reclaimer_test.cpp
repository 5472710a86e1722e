#include "host/linux/ram_reclaimer.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <vector>

namespace banyan {
namespace {

constexpr uint64_t kReclaimerRam = uint64_t{8} << 20;
constexpr Gpa kReclaimerStart{0x100000};

class RamReclaimerTest : public testing::Test {
protected:
    void SetUp() override {
        auto ram = GuestRam::create(kReclaimerRam);
        ASSERT_TRUE(ram);
        ram_ = std::move(*ram);
        ASSERT_TRUE(memory_.add_region(kReclaimerStart, ram_->bytes(), MemoryKind::ram));
        std::memset(ram_->bytes().data(), 1, kReclaimerRam);
    }
    size_t resident_pages() {
        std::vector<unsigned char> pages(kReclaimerRam / kPageSize);
        EXPECT_EQ(::mincore(ram_->bytes().data(), kReclaimerRam, pages.data()), 0);
        size_t count = 0;
        for (const unsigned char page : pages)
            count += page & 1;
        return count;
    }

    std::unique_ptr<GuestRam> ram_;
    GuestMemory memory_;
};

TEST_F(RamReclaimerTest, PagesGoBackAndAreZeroesThen) {
    RamReclaimer reclaimer(memory_, *ram_);
    EXPECT_EQ(resident_pages(), kReclaimerRam / kPageSize);
    ASSERT_TRUE(reclaimer.discard(kReclaimerStart + 0x1000, kReclaimerRam / 2));
    EXPECT_EQ(resident_pages(), kReclaimerRam / kPageSize / 2);
    EXPECT_EQ(ram_->bytes()[0], std::byte{1});
    EXPECT_EQ(ram_->bytes()[0x1000], std::byte{0});
    EXPECT_EQ(ram_->bytes()[0x1000 + kReclaimerRam / 2], std::byte{1});
}

TEST_F(RamReclaimerTest, OnlyWholePagesOfTheRam) {
    RamReclaimer reclaimer(memory_, *ram_);
    auto other = GuestRam::create(kReclaimerRam);
    ASSERT_TRUE(other);
    const Gpa elsewhere{0x10000000};
    ASSERT_TRUE(memory_.add_region(elsewhere, (*other)->bytes(), MemoryKind::ram));
    EXPECT_FALSE(reclaimer.discard(kReclaimerStart + 1, kPageSize));
    EXPECT_FALSE(reclaimer.discard(kReclaimerStart, 1));
    EXPECT_FALSE(reclaimer.discard(kReclaimerStart, 0));
    EXPECT_FALSE(reclaimer.discard(kReclaimerStart, kReclaimerRam + kPageSize));
    EXPECT_FALSE(reclaimer.discard({0}, kPageSize));
    EXPECT_FALSE(reclaimer.discard(elsewhere, kPageSize)) << "RAM, but not of this GuestRam";
    EXPECT_EQ(resident_pages(), kReclaimerRam / kPageSize);
}

// Translated code of such a page is of what was there.
TEST_F(RamReclaimerTest, EnginesSeeThePagesChange) {
    struct Observer final : WriteObserver {
        void on_code_page_written(Gpa gpa, uint64_t length) override {
            calls.emplace_back(gpa, length);
        }
        std::vector<std::pair<Gpa, uint64_t>> calls;
    } observer;
    memory_.set_write_observer(&observer);
    memory_.set_page_flag(kReclaimerStart + 0x3000, kPageHasCode);
    memory_.start_dirty_log();
    RamReclaimer reclaimer(memory_, *ram_);
    ASSERT_TRUE(reclaimer.discard(kReclaimerStart + 0x2000, 2 * kPageSize));
    ASSERT_EQ(observer.calls.size(), 1U);
    EXPECT_EQ(observer.calls[0].first, kReclaimerStart + 0x2000);
    EXPECT_EQ(memory_.take_dirty(),
              (std::vector<Gpa>{kReclaimerStart + 0x2000, kReclaimerStart + 0x3000}));
}

}  // namespace
}  // namespace banyan
