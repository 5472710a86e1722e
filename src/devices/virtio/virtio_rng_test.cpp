#include "devices/virtio/virtio_rng.hpp"

#include <gtest/gtest.h>

#include "devices/virtio/testing/guest_driver.hpp"

namespace banyan {
namespace {

class VirtioRngTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(guest_.negotiate(kModernRings));
        queue_.emplace(guest_.setup_queue(0, 8));
        guest_.driver_ok();
    }

    VirtioBench bench_;
    FakeEntropy entropy_;
    VirtioPci pci_{std::make_unique<VirtioRng>(VirtioRngWiring{bench_.ram.memory(), entropy_}),
                   bench_.wiring()};
    GuestDriver guest_{bench_, pci_};
    std::optional<GuestQueue> queue_;
};

TEST_F(VirtioRngTest, FillsAllSegments) {
    queue_->add({{{0x1000}, 2, true}, {{0x2000}, 3, true}});
    guest_.notify(0);
    EXPECT_EQ(queue_->take_used()->length, 5U);
    EXPECT_EQ(guest_.peek({0x1000}, 3), std::string("\1\2\0", 3));
    EXPECT_EQ(guest_.peek({0x2000}, 3), "\3\4\5");
}

TEST_F(VirtioRngTest, GivesABoundedAmount) {
    queue_->add({{{0x1000}, 4000, true}, {{0x4000}, 0x100000, true}});
    guest_.notify(0);
    EXPECT_EQ(queue_->take_used()->length, 4096U);
    EXPECT_EQ(guest_.peek({0x4000 + 96}, 2), std::string(2, '\0'));
}

TEST_F(VirtioRngTest, GivesBackWhatItCannotFill) {
    queue_->add({{{0x1000}, 16}});
    guest_.notify(0);
    EXPECT_EQ(queue_->take_used()->length, 0U);
}

TEST_F(VirtioRngTest, TellsMemoryOfItsWrites) {
    queue_->add({{{0x1000}, 16, true}});
    bench_.ram.memory().start_dirty_log();
    guest_.notify(0);
    const auto dirty = bench_.ram.memory().take_dirty();
    EXPECT_NE(std::find(dirty.begin(), dirty.end(), Gpa{0x1000}), dirty.end());
}

}  // namespace
}  // namespace banyan
