// What the process of a stored VM leaves in a directory of its own: logs, and how it ended. The
// process itself does not open the store, so that no VM pays for SQLite.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "manager/store/vm_process.hpp"
#include "support/result.hpp"

namespace banyan {

inline constexpr std::string_view kStoredConsoleLog = "console.log";
inline constexpr std::string_view kStoredMessages = "messages.log";

// How a VM ended.
struct StoredEnding {
    int status = 0;       // of its process
    std::string reason;   // "guest-shutdown", ...: as QMP calls it, or one of the two below
    std::string message;  // may be empty
    int64_t when = 0;     // seconds since 1970; 0: nobody knows

    bool operator==(const StoredEnding&) const = default;
};
inline constexpr std::string_view kProcessKilled = "process-killed";
inline constexpr std::string_view kHostRestarted = "host-restarted";
inline constexpr int kKilledStatus = 137;  // as a shell says of SIGKILL

int64_t seconds_since_1970();

// The directory is made if need be.
Result<void> write_ending(const std::string& directory, const VmProcess& process,
                          const StoredEnding& ending);
// Of this process. Nothing: it has left none.
std::optional<StoredEnding> read_ending(const std::string& directory, const VmProcess& process);
// What it left, or what can be said of one that left nothing.
StoredEnding ending_of_dead(const std::string& directory, const VmProcess& process);

}  // namespace banyan
