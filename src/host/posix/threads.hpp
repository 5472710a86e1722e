// Helper threads: named, and left alone by signals.
#pragma once

#include <csignal>
#include <pthread.h>
#include <string>
#include <thread>
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

// `name` is what ps and top show; the kernel keeps 15 characters of it.
template <class Body>
std::thread start_thread(const std::string& name, Body body) {
    const OutsideSignalsBlocked blocked;
    return std::thread([name = name.substr(0, 15), body = std::move(body)]() mutable {
        pthread_setname_np(pthread_self(), name.c_str());
        body();
    });
}

}  // namespace banyan
