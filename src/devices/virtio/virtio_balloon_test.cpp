#include "devices/virtio/virtio_balloon.hpp"

#include <cstddef>
#include <gtest/gtest.h>

#include "devices/virtio/testing/guest_driver.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fake_reclaimer.hpp"

namespace banyan {
namespace {

using namespace virtio;
using Ranges = std::vector<std::pair<Gpa, uint64_t>>;

constexpr Gpa kPageNumbers{0x1000};
constexpr Gpa kStatBuffer{0x2000};
constexpr uint64_t kBalloonFeatures = kModernRings | kBalloonStatsVq | kBalloonDeflateOnOom |
                                      kBalloonPagePoison | kBalloonPageReporting;
constexpr uint16_t kLinuxReports = 3;  // without free page hints

class VirtioBalloonTest : public testing::Test {
protected:
    void start(uint64_t features = kBalloonFeatures) {
        ASSERT_TRUE(guest_.negotiate(features));
        queues_.clear();
        for (uint16_t i = 0; i < 5; ++i)
            queues_.push_back(guest_.setup_queue(i, 32));
        guest_.driver_ok();
    }
    void inflate(const std::vector<uint32_t>& pages) {
        ASSERT_TRUE(bench_.ram.memory().write(kPageNumbers, std::as_bytes(std::span(pages))));
        queues_[0].add({{kPageNumbers, static_cast<uint32_t>(4 * pages.size())}});
        guest_.notify(0);
    }
    void tell(const std::vector<BalloonStat>& stats) {
        ASSERT_TRUE(bench_.ram.memory().write(kStatBuffer, std::as_bytes(std::span(stats))));
        queues_[2].add({{kStatBuffer, static_cast<uint32_t>(sizeof(BalloonStat) * stats.size())}});
        guest_.notify(2);
    }

    VirtioBench bench_;
    FakeReclaimer reclaimer_{bench_.ram.memory()};
    VirtioBalloon* balloon_ = nullptr;
    VirtioPci pci_{[this] {
                       auto owned = std::make_unique<VirtioBalloon>(
                           VirtioBench::kRamSize,
                           VirtioBalloonWiring{bench_.ram.memory(), reclaimer_});
                       balloon_ = owned.get();
                       return owned;
                   }(),
                   bench_.wiring()};
    GuestDriver guest_{bench_, pci_};
    std::vector<GuestQueue> queues_;
};

TEST_F(VirtioBalloonTest, AsksForPages) {
    start();
    guest_.enable_msix();
    EXPECT_EQ(guest_.read_config(offsetof(BalloonConfig, num_pages), 4), 0U);
    balloon_->set_target(VirtioBench::kRamSize - 3 * kPageSize);
    EXPECT_EQ(guest_.read_config(offsetof(BalloonConfig, num_pages), 4), 3U);
    ASSERT_EQ(bench_.msi.count(), 1U);
    EXPECT_EQ(bench_.msi.messages()[0].data, GuestDriver::kMsiData);
    balloon_->set_target(~uint64_t{0});
    EXPECT_EQ(guest_.read_config(offsetof(BalloonConfig, num_pages), 4), 0U) << "all it has";
}

TEST_F(VirtioBalloonTest, TakesPagesAndNeighboursAtOnce) {
    start();
    inflate({0x13, 0x10, 0x11, 0x20, 0x12});
    EXPECT_EQ(reclaimer_.taken, (Ranges{{{0x10000}, 0x4000}, {{0x20000}, 0x1000}}));
    EXPECT_EQ(queues_[0].used_index(), 1U);
    guest_.write_config(offsetof(BalloonConfig, actual), 4, 5);
    EXPECT_EQ(balloon_->statistics().actual, VirtioBench::kRamSize - 5 * kPageSize);
    EXPECT_EQ(balloon_->statistics().reclaimed, 5 * kPageSize);
}

TEST_F(VirtioBalloonTest, GivesBackDeflatedPages) {
    start();
    queues_[1].add({{kPageNumbers, 8}});
    guest_.notify(1);
    EXPECT_EQ(queues_[1].used_index(), 1U);
    EXPECT_TRUE(reclaimer_.taken.empty());
}

// A chain of more numbers than are looked at in one step.
TEST_F(VirtioBalloonTest, TakesLongArrays) {
    start();
    std::vector<uint32_t> pages(3000);
    for (uint32_t i = 0; i < pages.size(); ++i)
        pages[i] = 0x10 + i % 8;
    inflate(pages);
    EXPECT_EQ(queues_[0].used_index(), 1U);
    EXPECT_EQ(reclaimer_.taken, Ranges(3, {{0x10000}, 0x8000}));
}

TEST_F(VirtioBalloonTest, PagesThatAreNoRamAreLeftAlone) {
    start();
    inflate({0xffffffff, 0x7fffffff, static_cast<uint32_t>(VirtioBench::kRamSize >> 12)});
    EXPECT_TRUE(reclaimer_.taken.empty());
    EXPECT_EQ(queues_[0].used_index(), 1U);
    EXPECT_EQ(balloon_->statistics().reclaimed, 0U);
}

// 5.5.6.7. Only whole pages: what is beside them stays.
TEST_F(VirtioBalloonTest, TakesWhatIsReportedFree) {
    start();
    queues_[kLinuxReports].add({{{0x20000}, 0x10000, true}, {{0x40800}, 0x2000, true}});
    guest_.notify(kLinuxReports);
    EXPECT_EQ(reclaimer_.taken, (Ranges{{{0x20000}, 0x10000}, {{0x41000}, 0x1000}}));
    EXPECT_EQ(queues_[kLinuxReports].used_index(), 1U);
}

TEST_F(VirtioBalloonTest, ReportsComeWhereTheDriverCountsThem) {
    for (const uint16_t index : std::to_array<uint16_t>({2, 3, 4})) {
        start(kModernRings | kBalloonPageReporting);
        reclaimer_.taken.clear();
        queues_[index].add({{{0x20000}, 0x1000, true}});
        guest_.notify(index);
        EXPECT_EQ(reclaimer_.taken.size(), 1U) << index;
    }
}

// 5.5.6.6: what the guest poisoned it must find again.
TEST_F(VirtioBalloonTest, PoisonedPagesStay) {
    start();
    guest_.write_config(offsetof(BalloonConfig, poison_val), 4, 0xaaaaaaaa);
    queues_[kLinuxReports].add({{{0x20000}, 0x1000, true}});
    guest_.notify(kLinuxReports);
    EXPECT_TRUE(reclaimer_.taken.empty());
    EXPECT_EQ(queues_[kLinuxReports].used_index(), 1U);
}

TEST_F(VirtioBalloonTest, KeepsStatisticsAndAsksForNewOnes) {
    start();
    EXPECT_FALSE(balloon_->statistics().free_memory);
    tell({{4, 1000}, {5, 2000}, {99, 1}, {7, 300}});
    EXPECT_EQ(queues_[2].used_index(), 0U) << "the buffer stays";
    const BalloonStatistics first = balloon_->statistics();
    EXPECT_EQ(first.free_memory, 1000U);
    EXPECT_EQ(first.total_memory, 2000U);
    EXPECT_EQ(first.disk_caches, 300U);
    EXPECT_FALSE(first.swapped_in);
    EXPECT_EQ(queues_[2].used_index(), 1U) << "to give it back is to ask";
    EXPECT_EQ(queues_[2].available_event(), 1U) << "and the answer is looked out for";
    tell({{4, 900}});
    EXPECT_EQ(balloon_->statistics().free_memory, 900U);
}

TEST_F(VirtioBalloonTest, ResetForgetsWhatTheGuestToldButNotTheTarget) {
    start();
    balloon_->set_target(kPageSize);
    tell({{4, 1000}});
    guest_.write_config(offsetof(BalloonConfig, actual), 4, 5);
    guest_.reset();
    const BalloonStatistics after = balloon_->statistics();
    EXPECT_FALSE(after.free_memory);
    EXPECT_EQ(after.actual, VirtioBench::kRamSize);
    EXPECT_EQ(after.target, kPageSize);
}

TEST_F(VirtioBalloonTest, TellsMemoryOfPagesThatChange) {
    start();
    bench_.ram.memory().start_dirty_log();
    inflate({0x30});
    const auto dirty = bench_.ram.memory().take_dirty();
    EXPECT_NE(std::find(dirty.begin(), dirty.end(), Gpa{0x30000}), dirty.end());
}

TEST(VirtioBalloonState, HasTheProperties) {
    VirtioBench bench;
    FakeReclaimer reclaimer(bench.ram.memory());
    check_saved_state(
        [&] {
            auto balloon = std::make_unique<VirtioBalloon>(
                VirtioBench::kRamSize, VirtioBalloonWiring{bench.ram.memory(), reclaimer});
            return std::make_unique<VirtioPci>(std::move(balloon), bench.wiring());
        },
        [&](VirtioPci& pci) {
            GuestDriver driver(bench, pci);
            ASSERT_TRUE(driver.negotiate(kBalloonFeatures));
            (void)driver.setup_queue(0, 32);
            driver.driver_ok();
            driver.write_config(offsetof(BalloonConfig, actual), 4, 7);
            driver.write_config(offsetof(BalloonConfig, poison_val), 4, 8);
            pci.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

}  // namespace
}  // namespace banyan
