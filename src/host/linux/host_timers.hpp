// HostTimers: timers on the guest's time, rung by one thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "host/linux/host_clock.hpp"
#include "vm/clock.hpp"

namespace banyan {

// Timers ring a few tens of microseconds late at most on an idle host, never early, and not while
// the clock is paused. A timer may be destroyed by any thread that does not hold a lock which its
// client's on_timer() takes.
class HostTimers final : public TimerService {
public:
    explicit HostTimers(const HostClock& clock);
    ~HostTimers() override;  // all timers are gone by then
    HostTimers(const HostTimers&) = delete;
    HostTimers& operator=(const HostTimers&) = delete;

    std::unique_ptr<Timer> create_timer(TimerClient& client, unsigned cookie) override;

    // The clock was paused or resumed.
    void clock_changed();

private:
    class Entry;
    // Node handles move between the queue and an idle Entry: arm() does not allocate.
    using Queue = std::multimap<uint64_t, Entry*>;

    void arm(Entry& entry, uint64_t deadline_ns);
    void cancel(Entry& entry);
    void remove(Entry& entry);
    void unqueue(Entry& entry);

    void run();
    void ring_first(std::unique_lock<std::mutex>& lock);
    void sleep_until_first(std::unique_lock<std::mutex>& lock);

    const HostClock& clock_;
    std::mutex mutex_;  // a leaf: no client is called under it
    std::condition_variable changed_;
    std::condition_variable rung_;
    Queue queue_;
    Entry* ringing_ = nullptr;
    uint64_t sleeping_until_ = 0;  // guest time; an earlier deadline must wake the thread
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace banyan
