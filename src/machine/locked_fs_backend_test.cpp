#include "machine/locked_fs_backend.hpp"

#include <gtest/gtest.h>
#include <thread>
#include <vector>

#include "devices/virtio/testing/fake_share.hpp"

namespace banyan {
namespace {

class ShareUser final : public FsClient {
public:
    void on_fs_complete(uint64_t cookie, uint32_t) override { completed.push_back(cookie); }

    std::vector<uint64_t> completed;  // guarded by the slot's lock
};

TEST(LockedFsBackend, DeliversAfterSubmitWhatCompletesWithin) {
    FakeShare share;
    DeviceSlot slot;
    LockedFsBackend locked(share, slot);
    ShareUser user;
    {
        SlotLock lock(slot);
        locked.submit({.cookie = 1}, user);
        locked.submit({.cookie = 2}, user);
        EXPECT_TRUE(user.completed.empty());
    }
    EXPECT_EQ(user.completed, (std::vector<uint64_t>{1, 2}));
}

TEST(LockedFsBackend, DrainDeliversBeforeItReturns) {
    FakeShare share;
    share.hold(true);
    DeviceSlot slot;
    LockedFsBackend locked(share, slot);
    ShareUser user;
    SlotLock lock(slot);
    locked.submit({.cookie = 7}, user);
    locked.drain();
    EXPECT_EQ(user.completed, (std::vector<uint64_t>{7}));
}

TEST(LockedFsBackend, DeliversFromAnotherThread) {
    FakeShare share;
    share.hold(true);
    DeviceSlot slot;
    LockedFsBackend locked(share, slot);
    ShareUser user;
    {
        SlotLock lock(slot);
        locked.submit({.cookie = 1}, user);
    }
    std::thread([&] { (void)share.complete_one(); }).join();
    SlotLock lock(slot);
    EXPECT_EQ(user.completed, (std::vector<uint64_t>{1}));
}

}  // namespace
}  // namespace banyan
