// Helper threads: named, and left alone by signals.
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <pthread.h>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace banyan {

// Blocks what is sent to the process from outside, so that it reaches whoever waits for it
// (host/linux/signals.hpp), in the calling thread and the threads it starts. What a thread does to
// itself stays deliverable.
class OutsideSignalsBlocked {
public:
    OutsideSignalsBlocked() {
        sigset_t set;
        sigfillset(&set);
        for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS})
            sigdelset(&set, own);
        pthread_sigmask(SIG_BLOCK, &set, &before_);
    }
    ~OutsideSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    OutsideSignalsBlocked(const OutsideSignalsBlocked&) = delete;
    OutsideSignalsBlocked& operator=(const OutsideSignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

// For threads that are started from now on. Hosts give a stack of the usual 8 MiB a large page as
// soon as its first byte is touched: as much memory as the rest of a small VM's monitor.
inline void use_small_stacks() {
    constexpr size_t kStack = size_t{1} << 20;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStack);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

// What a thread is for, and so what it may ask of the host (host/sandbox).
enum class ThreadKind : uint8_t {
    loop,    // the event loop: sessions, terminal, figures
    device,  // vCPUs, timers, frames of a tap: what devices do
    disk,
    share,  // files of shared directories
    nat,    // connections of guests to the host's network
};

// What holds for the threads of a process. A thread inherits what the one that starts it may do,
// so that some are started by another one.
struct ThreadRules {
    std::thread (*start)(std::function<void()> body);
    void (*begun)(ThreadKind kind);  // on the new thread, before anything else
};

// From then on, for good. `rules` is of static storage.
void set_thread_rules(const ThreadRules& rules);
// Of those that start_thread() started; else loop.
ThreadKind this_thread_kind();

// `name` is what ps and top show; the kernel keeps 15 characters of it. Throws std::system_error
// when the host has no thread left.
std::thread start_thread(ThreadKind kind, const std::string& name, std::function<void()> body);

// The same for a body that can only be moved.
template <class Body>
requires(!std::is_copy_constructible_v<Body>) std::thread
    start_thread(ThreadKind kind, const std::string& name, Body body) {
    auto shared = std::make_shared<Body>(std::move(body));
    return start_thread(kind, name, std::function<void()>([shared] { (*shared)(); }));
}

}  // namespace banyan
