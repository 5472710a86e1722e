#include "machine/device_slot.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace banyan {
namespace {

// A disk that completes when it is told to, or inside submit().
class FakeDisk : public BlockBackend {
public:
    uint64_t size_bytes() const override { return 1 << 20; }
    bool read_only() const override { return false; }
    void submit(const BlockRequest& request, BlockClient& client) override {
        client_ = &client;
        cookies.push_back(request.cookie);
        if (at_once) finish();
    }
    void drain() override { finish(); }
    void finish() {
        const auto done = std::exchange(cookies, {});
        for (const uint64_t cookie : done)
            client_->on_block_complete(cookie, BlockStatus::ok);
    }

    bool at_once = false;
    std::vector<uint64_t> cookies;

private:
    BlockClient* client_ = nullptr;
};

class DiskUser final : public BlockClient {
public:
    void on_block_complete(uint64_t cookie, BlockStatus) override {
        EXPECT_FALSE(inside_submit) << "a completion must not come from within submit()";
        completed.push_back(cookie);
        if (on_complete) on_complete(cookie);
    }
    void submit(BlockBackend& disk, uint64_t cookie) {
        inside_submit = true;
        BlockRequest request;
        request.cookie = cookie;
        disk.submit(request, *this);
        inside_submit = false;
    }

    bool inside_submit = false;
    std::vector<uint64_t> completed;
    std::function<void(uint64_t)> on_complete;
};

TEST(LockedBlockBackend, DeliversAfterSubmitWhatCompletesWithin) {
    FakeDisk disk;
    disk.at_once = true;
    DeviceSlot slot;
    LockedBlockBackend locked(disk, slot);
    DiskUser user;
    {
        SlotLock lock(slot);
        user.submit(locked, 1);
        user.submit(locked, 2);
        EXPECT_TRUE(user.completed.empty());
    }
    EXPECT_EQ(user.completed, (std::vector<uint64_t>{1, 2}));
}

TEST(LockedBlockBackend, LetsTheDeviceSubmitFromACompletion) {
    FakeDisk disk;
    disk.at_once = true;
    DeviceSlot slot;
    LockedBlockBackend locked(disk, slot);
    DiskUser user;
    user.on_complete = [&](uint64_t cookie) {
        if (cookie < 4) user.submit(locked, cookie + 1);
    };
    {
        SlotLock lock(slot);
        user.submit(locked, 1);
    }
    EXPECT_EQ(user.completed, (std::vector<uint64_t>{1, 2, 3, 4}));
}

TEST(LockedBlockBackend, DrainDeliversBeforeItReturns) {
    FakeDisk disk;
    DeviceSlot slot;
    LockedBlockBackend locked(disk, slot);
    DiskUser user;
    SlotLock lock(slot);
    user.submit(locked, 7);
    locked.drain();
    EXPECT_EQ(user.completed, (std::vector<uint64_t>{7}));
}

TEST(LockedBlockBackend, DeliversFromAnotherThread) {
    FakeDisk disk;
    DeviceSlot slot;
    LockedBlockBackend locked(disk, slot);
    DiskUser user;
    {
        SlotLock lock(slot);
        user.submit(locked, 1);
    }
    std::thread([&] { disk.finish(); }).join();
    SlotLock lock(slot);
    EXPECT_EQ(user.completed, (std::vector<uint64_t>{1}));
}

class CountingWork : public PostedWork {
public:
    void run_posted() override { ++runs; }
    int runs = 0;  // guarded by the slot's lock
};

TEST(DeviceSlot, RunsPostedWorkAtOnceWhenFree) {
    DeviceSlot slot;
    CountingWork work;
    slot.post(work);
    EXPECT_EQ(work.runs, 1);
}

TEST(DeviceSlot, QueuesTheSameWorkOnce) {
    DeviceSlot slot;
    CountingWork first;
    CountingWork second;
    {
        SlotLock lock(slot);
        slot.post(first);
        slot.post(second);
        slot.post(first);
        EXPECT_EQ(first.runs, 0);
    }
    EXPECT_EQ(first.runs, 1);
    EXPECT_EQ(second.runs, 1);
}

TEST(DeviceSlot, RunsPostedWorkWhenHeldByReference) {
    DeviceSlot slot;
    CountingWork work;
    LockRef lock(slot);
    const LockRef copy = lock;
    {
        LockRefGuard guard(copy);
        slot.post(work);
        EXPECT_EQ(work.runs, 0);
    }
    EXPECT_EQ(work.runs, 1);
}

// No post is lost, whatever the order of lock, post and unlock: the last one always has run when
// everybody is done.
TEST(DeviceSlot, LosesNoWorkBetweenThreads) {
    DeviceSlot slot;
    struct Mailbox final : PostedWork {
        void run_posted() override { seen = sent.load(); }
        std::atomic<int> sent{0};
        int seen = 0;
    } mailbox;
    const auto hammer = [&] {
        for (int i = 0; i < 5000; ++i) {
            mailbox.sent.fetch_add(1);
            slot.post(mailbox);
            SlotLock lock(slot);
        }
    };
    std::thread other(hammer);
    hammer();
    other.join();
    EXPECT_EQ(mailbox.seen, 10000);
}

class FakeChip final : public CharClient, public TimerClient {
public:
    size_t receive_room() const override { return room; }
    void on_receive(std::span<const uint8_t> bytes) override {
        received.insert(received.end(), bytes.begin(), bytes.end());
        room -= bytes.size();
    }
    void on_writable() override { ++writable; }
    void on_timer(unsigned cookie) override { rung.push_back(cookie); }

    size_t room = 4;
    int writable = 0;
    std::vector<uint8_t> received;
    std::vector<unsigned> rung;
};

TEST(LockedCharClient, NeverGivesMoreThanThereIsRoomFor) {
    DeviceSlot slot;
    FakeChip chip;
    LockedCharClient client(slot);
    client.connect(chip);
    const std::vector<uint8_t> bytes{1, 2, 3, 4, 5, 6};

    EXPECT_EQ(client.receive_room(), 4U);
    client.on_receive(bytes);
    client.on_receive(bytes);

    EXPECT_EQ(chip.received, (std::vector<uint8_t>{1, 2, 3, 4}));
}

TEST(LockedCharClient, TellsOfRoomFromWithinWrite) {
    DeviceSlot slot;
    FakeChip chip;
    LockedCharClient client(slot);
    client.connect(chip);
    {
        SlotLock lock(
            slot);  // the device writes, and the back end says at once that it can take more
        client.on_writable();
        EXPECT_EQ(chip.writable, 0);
    }
    EXPECT_EQ(chip.writable, 1);
}

// Keeps its clients, rings on demand.
class FakeTimers : public TimerService {
public:
    struct FakeTimer : Timer {
        void arm(uint64_t deadline_ns) override { deadline = deadline_ns; }
        void cancel() override { deadline = 0; }
        uint64_t deadline = 0;
    };
    std::unique_ptr<Timer> create_timer(TimerClient& client, unsigned cookie) override {
        client_ = &client;
        cookie_ = cookie;
        auto timer = std::make_unique<FakeTimer>();
        last = timer.get();
        return timer;
    }
    void ring() { client_->on_timer(cookie_); }
    FakeTimer* last = nullptr;

private:
    TimerClient* client_ = nullptr;
    unsigned cookie_ = 0;
};

TEST(LockedTimerService, RingsUnderTheLock) {
    DeviceSlot slot;
    FakeTimers host;
    LockedTimerService timers(host, slot);
    FakeChip chip;
    const auto timer = timers.create_timer(chip, 3);
    timer->arm(1000);
    EXPECT_EQ(host.last->deadline, 1000U);

    std::thread ringing;
    {
        SlotLock lock(slot);
        ringing = std::thread([&] { host.ring(); });
        EXPECT_TRUE(chip.rung.empty());
    }
    ringing.join();
    EXPECT_EQ(chip.rung, (std::vector<unsigned>{3}));
    timer->cancel();
    EXPECT_EQ(host.last->deadline, 0U);
}

}  // namespace
}  // namespace banyan
