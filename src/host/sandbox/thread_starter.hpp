// Starts threads from one that may do all that any of them may: a thread never gets more rights
// than the one that starts it, and vCPUs, which have the fewest, start those of disks and networks.
#pragma once

#include <functional>
#include <thread>

namespace banyan::thread_starter {

// Once. The thread stays until the process ends.
void begin();
// The calling thread is the one that starts others.
bool is_this();
// As std::thread's constructor, with its exceptions.
std::thread start(std::function<void()> body);

}  // namespace banyan::thread_starter
