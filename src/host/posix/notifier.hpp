// Notifier: brings work to the thread of a Poller.
#pragma once

#include <functional>
#include <memory>

#include "host/posix/unique_fd.hpp"
#include "vm/poller.hpp"

namespace banyan {

// Runs a function on the poller's thread. Several notify() before it runs are one.
class Notifier final : private PollClient {
public:
    static Result<std::unique_ptr<Notifier>> create(Poller& poller, std::function<void()> action);
    ~Notifier();
    Notifier(const Notifier&) = delete;
    Notifier& operator=(const Notifier&) = delete;

    // From any thread.
    void notify();

    // What the kernel can be told to signal by itself: an eventfd.
    int handle() const { return fd_.get(); }
    // Runs the function now if notify() waits. On the poller's thread.
    void deliver();

private:
    Notifier(Poller& poller, UniqueFd fd, std::function<void()> action)
        : poller_(poller), fd_(std::move(fd)), action_(std::move(action)) {}
    void on_ready(Readiness ready) override;

    Poller& poller_;
    UniqueFd fd_;
    std::function<void()> action_;
};

}  // namespace banyan
