// The system call filters of a VM's threads (seccomp(2)). generator/main.cpp says what is in them.
#pragma once

#include "host/posix/threads.hpp"
#include "host/sandbox/sandbox_mode.hpp"

namespace banyan::seccomp {

// False: the kernel has no filters.
bool available();

// What there is besides loop, devices and disks.
struct Kinds {
    bool shares = false;
    bool nat = false;
};

// Once, before the others; `mode` is not off.
void prepare(SandboxMode mode, Kinds kinds);

// On all threads that there are, and those that they start: what the process needs at all.
// The error number, or 0.
int enter_on_all_threads();

// On the calling thread, for good: what threads of this kind need. From a signal handler, too. The
// error number, or 0.
int enter(ThreadKind kind);

// On the calling thread, which is the only one of a SocketBroker; without prepare().
int enter_as_broker();

}  // namespace banyan::seccomp
