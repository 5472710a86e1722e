// Signals from outside, as events of a loop instead of handlers that may run anywhere.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "host/posix/unique_fd.hpp"
#include "vm/poller.hpp"

namespace banyan {

// Blocks the signals in the calling thread and those it starts later; they stay pending until a
// SignalWatch takes them. Call before other threads exist.
void hold_signals(std::initializer_list<int> numbers);

// One of the held signals that has come and was not taken, or 0: for long work without a loop.
int held_signal();

// Writes to streams without a reader and beyond a file size limit fail with EPIPE and EFBIG instead
// of ending the process.
void ignore_write_signals();

// For times without a SignalWatch: each of the signals restores the terminal, writes `message` (of
// static storage, with its line feed) to standard error and ends the process with `status`.
// Replaces hold_signals() for them. `end` must stay; the last one given counts for all.
struct SignalEnd {
    const char* message;
    int status;
};
void end_at_signals(std::initializer_list<int> numbers, const SignalEnd& end);

// As set by nohup and the like.
bool is_ignored(int number);

// Takes held signals.
class SignalWatch final : private PollClient {
public:
    using Action = std::function<void(int number)>;
    static Result<std::unique_ptr<SignalWatch>> create(Poller& poller,
                                                       std::initializer_list<int> numbers,
                                                       Action action);
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

private:
    SignalWatch(Poller& poller, UniqueFd fd, Action action)
        : poller_(poller), fd_(std::move(fd)), action_(std::move(action)) {}
    void on_ready(Readiness ready) override;

    Poller& poller_;
    UniqueFd fd_;
    Action action_;
};

}  // namespace banyan
