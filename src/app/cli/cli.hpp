// The command line of banyan.
#pragma once

namespace banyan {

// Exit statuses of all commands (docs/cli.md); `run` has more, see vmm/vm_outcome.hpp.
inline constexpr int kStatusFailed = 1;
inline constexpr int kStatusUsage = 2;
inline constexpr int kStatusStopped = 4;

// Does what the arguments ask for; returns the exit status.
int run_cli(int argc, const char* const* argv);

}  // namespace banyan
