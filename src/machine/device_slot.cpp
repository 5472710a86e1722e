#include "machine/device_slot.hpp"

#include <algorithm>

namespace banyan {

// `held_` says that somebody will look at the list before they are done: the holder first clears it
// and then looks, whoever posts first fills the list and then looks at `held_`. One of the two sees
// the other (both sequentially consistent), and a thread that holds the lock always sees its own
// `held_`, so it never locks twice.
void DeviceSlot::lock() {
    mutex_.lock();
    held_.store(true);
}

void DeviceSlot::unlock() {
    while (true) {
        run_all_posted();
        held_.store(false);
        mutex_.unlock();
        if (!has_posted_.load()) return;
        lock();
    }
}

void DeviceSlot::post(PostedWork& work) {
    {
        MutexLock guard(posted_mutex_);
        if (work.queued_) return;
        work.queued_ = true;
        work.next_ = nullptr;
        (first_posted_ == nullptr ? first_posted_ : last_posted_->next_) = &work;
        last_posted_ = &work;
        has_posted_.store(true);
    }
    if (held_.load()) return;
    SlotLock run_it(*this);
}

PostedWork* DeviceSlot::take_posted() {
    MutexLock guard(posted_mutex_);
    PostedWork* work = first_posted_;
    if (work == nullptr) return nullptr;
    first_posted_ = work->next_;
    if (first_posted_ == nullptr) has_posted_.store(false);
    work->queued_ = false;
    return work;
}

void DeviceSlot::run_all_posted() {
    if (!has_posted_.load(std::memory_order_relaxed)) return;
    while (PostedWork* work = take_posted())
        work->run_posted();
}

namespace {

class LockedTimer : public Timer, private TimerClient {
public:
    LockedTimer(TimerService& host, DeviceSlot& slot, TimerClient& client, unsigned cookie)
        : slot_(slot), client_(client), timer_(host.create_timer(*this, cookie)) {}

    void arm(uint64_t deadline_ns) override { timer_->arm(deadline_ns); }
    void cancel() override { timer_->cancel(); }

private:
    void on_timer(unsigned cookie) override {
        SlotLock lock(slot_);
        client_.on_timer(cookie);
    }

    DeviceSlot& slot_;
    TimerClient& client_;
    std::unique_ptr<Timer> timer_;
};

}  // namespace

std::unique_ptr<Timer> LockedTimerService::create_timer(TimerClient& client, unsigned cookie) {
    return std::make_unique<LockedTimer>(host_, slot_, client, cookie);
}

size_t LockedCharClient::receive_room() const {
    SlotLock lock(slot_);
    return device_->receive_room();
}

void LockedCharClient::on_receive(std::span<const uint8_t> bytes) {
    SlotLock lock(slot_);
    const size_t count = std::min(bytes.size(), device_->receive_room());
    if (count != 0) device_->on_receive(bytes.first(count));
}

void LockedCharClient::on_writable() {
    slot_.post(*this);
}

void LockedCharClient::run_posted() {
    device_->on_writable();
}

LockedBlockBackend::LockedBlockBackend(BlockBackend& disk, DeviceSlot& slot)
    : disk_(disk), slot_(slot) {}

void LockedBlockBackend::submit(const BlockRequest& request, BlockClient& client) {
    client_ = &client;
    disk_.submit(request, *this);
}

void LockedBlockBackend::drain() {
    disk_.drain();
    run_posted();  // the caller holds the lock
}

void LockedBlockBackend::on_block_complete(uint64_t cookie, BlockStatus status) {
    completions_.put({cookie, status});
    slot_.post(*this);
}

void LockedBlockBackend::run_posted() {
    while (const auto completion = completions_.take())
        client_->on_block_complete(completion->cookie, completion->status);
}

}  // namespace banyan
