// Ticker: calls somebody once in a while, in the host's time, on the thread of a Poller.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "host/posix/unique_fd.hpp"
#include "vm/poller.hpp"

namespace banyan {

class Ticker final : private PollClient {
public:
    // Calls that come too late are one.
    static Result<std::unique_ptr<Ticker>> create(Poller& poller, std::chrono::milliseconds period,
                                                  std::function<void()> action);
    ~Ticker();
    // 0: no more calls.
    void set_period(std::chrono::milliseconds period);
    Ticker(const Ticker&) = delete;
    Ticker& operator=(const Ticker&) = delete;

private:
    Ticker(Poller& poller, UniqueFd fd, std::function<void()> action)
        : poller_(poller), fd_(std::move(fd)), action_(std::move(action)) {}
    void on_ready(Readiness ready) override;

    Poller& poller_;
    UniqueFd fd_;
    std::function<void()> action_;
};

}  // namespace banyan
