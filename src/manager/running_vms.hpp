// Which VMs run, by the files that they publish in the RunDirectory
// (docs/decisions/0011-published-statistics.md).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "host/linux/run_directory.hpp"

namespace banyan {

// As published: {"name", "pid", "process_start", "engine", "memory", "seconds",
// "vcpus": [{"instructions", ...}]}, and "stored", the directory of a stored VM.
using RunningVm = nlohmann::ordered_json;

// What a VM's process has in the RunDirectory: "PID.KIND".
std::string vm_file(int pid, std::string_view kind);
inline constexpr std::string_view kFigures = "json";  // a RunningVm
inline constexpr std::string_view kControl = "qmp";   // sockets
inline constexpr std::string_view kConsole = "console";
inline constexpr std::string_view kConsoleLog = "log";     // of a VM in the background
inline constexpr std::string_view kMessages = "messages";  // Banyan's own, of the same

// Empty: it is not stored.
std::string stored_directory(const RunningVm& vm);
// By its name or its process number.
bool is_called(const RunningVm& vm, const std::string& wanted);
int pid_of(const RunningVm& vm);
// Its process is there, and has not removed all of its files yet; its logs go last.
bool still_runs(const RunDirectory& directory, const RunningVm& vm);

// In the order of their process numbers. Files of those that have died are removed.
std::vector<RunningVm> running_vms(const RunDirectory& directory);

// The one that is meant. Fails with ErrorCode::not_found; `command` begins the message.
Result<RunningVm> find_vm(const RunDirectory& directory, std::string_view command,
                          const std::string& wanted);

}  // namespace banyan
