// DeviceSlot: a device and the lock that lets it be written single-threaded; and adapters that take
// this lock around what comes to a device from outside: timers, character streams, disk
// completions. docs/locking.md has the rules.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "machine/completion_queue.hpp"
#include "support/mutex.hpp"
#include "vm/backend.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"

namespace banyan {

class DeviceSlot;

// Work for a device that may arrive while its lock is held, even by the calling thread (a disk that
// completes inside submit()). It is queued, and run under the lock by whoever holds or next takes
// it.
class PostedWork {
public:
    virtual ~PostedWork() = default;
    virtual void run_posted() = 0;

private:
    friend class DeviceSlot;
    PostedWork* next_ = nullptr;
    bool queued_ = false;
};

class DeviceSlot {
public:
    DeviceSlot() = default;
    DeviceSlot(const DeviceSlot&) = delete;
    DeviceSlot& operator=(const DeviceSlot&) = delete;

    // Once, before anything reaches the device. Adapters need the slot before the device exists.
    void set_device(Device& device) { device_ = &device; }
    Device* device() const { return device_; }

    // Runs work under the lock: now, or when the present holder lets go of it. From any thread,
    // with or without the lock. Work that is already queued is not queued twice.
    void post(PostedWork& work);

    // As SlotLock and LockRef take it; posted work runs before unlock() returns.
    void lock();
    void unlock();

private:
    void run_all_posted();
    PostedWork* take_posted();

    Device* device_ = nullptr;
    Mutex mutex_;
    std::atomic<bool> held_{false};
    std::atomic<bool> has_posted_{false};
    Mutex posted_mutex_;  // leaf: guards the list, nothing is called under it
    PostedWork* first_posted_ GUARDED_BY(posted_mutex_) = nullptr;
    PostedWork* last_posted_ GUARDED_BY(posted_mutex_) = nullptr;
};

// Holds a slot's lock; lets posted work run before it lets go.
class SlotLock {
public:
    explicit SlotLock(DeviceSlot& slot) : slot_(slot) { slot_.lock(); }
    ~SlotLock() { slot_.unlock(); }
    SlotLock(const SlotLock&) = delete;
    SlotLock& operator=(const SlotLock&) = delete;

private:
    DeviceSlot& slot_;
};

// Gives a device timers that ring under its slot's lock. The service must outlive its timers.
class LockedTimerService : public TimerService {
public:
    LockedTimerService(TimerService& host, DeviceSlot& slot) : host_(host), slot_(slot) {}
    std::unique_ptr<Timer> create_timer(TimerClient& client, unsigned cookie) override;

private:
    TimerService& host_;
    DeviceSlot& slot_;
};

// The device's end of a character stream, as the back end sees it. Bytes beyond the room that the
// device has left at that moment are dropped: the guest took the room away (a FIFO switched off),
// and loses them as on a real line.
class LockedCharClient : public CharClient, private PostedWork {
public:
    explicit LockedCharClient(DeviceSlot& slot) : slot_(slot) {}
    void connect(CharClient& device) { device_ = &device; }

    size_t receive_room() const override;
    void on_receive(std::span<const uint8_t> bytes) override;
    void on_writable() override;  // may come from within write()

private:
    void run_posted() override;

    DeviceSlot& slot_;
    CharClient* device_ = nullptr;
};

// A disk as its device sees it: completions come under the slot's lock, after submit() has
// returned.
class LockedBlockBackend : public BlockBackend, private BlockClient, private PostedWork {
public:
    LockedBlockBackend(BlockBackend& disk, DeviceSlot& slot);

    uint64_t size_bytes() const override { return disk_.size_bytes(); }
    bool read_only() const override { return disk_.read_only(); }
    bool supports(BlockRequest::Kind kind) const override { return disk_.supports(kind); }
    void submit(const BlockRequest& request, BlockClient& client) override;
    void drain() override;

private:
    struct Completion {
        uint64_t cookie;
        BlockStatus status;
    };
    void on_block_complete(uint64_t cookie, BlockStatus status) override;
    void run_posted() override;

    BlockBackend& disk_;
    DeviceSlot& slot_;
    BlockClient* client_ = nullptr;
    CompletionQueue<Completion> completions_{256};  // a virtqueue full
};

}  // namespace banyan
