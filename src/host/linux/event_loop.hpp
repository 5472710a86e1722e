// EventLoop: waits for file descriptors, signals and wake-ups, and calls whoever watches them, on
// one thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "host/posix/unique_fd.hpp"
#include "vm/poller.hpp"

namespace banyan {

class EventLoop final : public Poller {
public:
    static Result<std::unique_ptr<EventLoop>> create();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // Also takes what epoll refuses because it never waits (regular files, /dev/null): such a
    // handle is always ready.
    Result<void> watch(int handle, Readiness interest, PollClient& client) override;
    void set_interest(int handle, Readiness interest) override;
    void unwatch(int handle) override;

    // Calls clients until stop(). A stop() before run() makes run() return at once.
    void run();
    // From any thread, also from a signal handler.
    void stop();

private:
    struct Watch {
        uint64_t id = 0;  // tells a handle from a later one with the same number
        Readiness interest;
        PollClient* client = nullptr;
        bool in_epoll = false;
        bool always_ready = false;
    };
    struct Event {
        uint64_t id = 0;
        Readiness ready;
    };

    EventLoop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
    // Both with mutex_ held.
    Result<void> apply_interest(int handle, Watch& watch);
    bool any_always_ready() const;

    void collect(std::vector<Event>& events);
    void deliver(const Event& event);
    void interrupt();

    UniqueFd epoll_;
    UniqueFd wake_;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;  // a leaf: no client is called under it
    std::condition_variable call_ended_;
    std::map<int, Watch> watches_;
    uint64_t next_id_ = 1;
    uint64_t calling_ = 0;  // id of the watch whose client is being called
    std::thread::id thread_;
};

}  // namespace banyan
