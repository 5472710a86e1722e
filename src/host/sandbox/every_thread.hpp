// For what Linux knows only of single threads, as the C library does it for setuid(2).
#pragma once

#include "support/result.hpp"

namespace banyan {

// Runs `action` on every thread but the calling one, in a signal handler (SIGSYS, which no thread
// here blocks): it may only do what signal-safety(7) allows. No thread may be started or end
// meanwhile. Fails with ErrorCode::io when a thread does not come.
Result<void> on_every_other_thread(void (*action)());

}  // namespace banyan
