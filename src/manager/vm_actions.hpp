// What is done to one running VM.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "manager/qmp_client.hpp"
#include "manager/running_vms.hpp"

namespace banyan {

// Its control socket.
Result<QmpClient> connect_to(const RunDirectory& directory, const RunningVm& vm,
                             QmpClient::Patience patience = QmpClient::kUsualPatience);

// {"name", "pid", "state", "engine", "cpus", "memory", "uptime_seconds"}; memory in bytes. The
// state is "starting", "running", "paused", "debugged" (by GDB), "disk-full" (waits until the host
// has room) or "no-answer".
nlohmann::ordered_json summary_of(const RunDirectory& directory, const RunningVm& vm);
// The same and "uuid", "control", "console", "disks" with their counts, "published" ports.
Result<nlohmann::ordered_json> facts_of(const RunDirectory& directory, const RunningVm& vm);

Result<void> pause_vm(const RunDirectory& directory, const RunningVm& vm);
// Fails with ErrorCode::no_space when it stands still because the host has no room for its disks.
Result<void> resume_vm(const RunDirectory& directory, const RunningVm& vm);
Result<void> reset_vm(const RunDirectory& directory, const RunningVm& vm);

// Ports of the host that lead to the guest, each as "[ADDR:]HOSTPORT:GUESTPORT[/udp]".
Result<void> publish_port(const RunDirectory& directory, const RunningVm& vm,
                          const std::string& port);
Result<void> unpublish_port(const RunDirectory& directory, const RunningVm& vm,
                            const std::string& port);

// Frames of the card of that number, for who listens at that Unix socket (backends/net).
Result<void> capture_card(const RunDirectory& directory, const RunningVm& vm, unsigned card,
                          const std::string& socket);
// What passes the card, each way; 0: no limit.
Result<void> set_net_rate(const RunDirectory& directory, const RunningVm& vm, unsigned card,
                          uint64_t bytes_per_second);

// How it ended.
struct VmEnding {
    int status = 0;       // of its process
    std::string reason;   // "guest-shutdown", ...: as QMP calls it
    std::string message;  // what it said at its end; may be empty
};
// Presses the power button, and waits until the VM is gone. Fails with ErrorCode::busy when it does
// not power off in time.
Result<VmEnding> power_off_vm(const RunDirectory& directory, const RunningVm& vm,
                              std::chrono::seconds limit);
// Waits for its end, however long that takes.
Result<VmEnding> wait_for_vm(const RunDirectory& directory, const RunningVm& vm);
// Ends it, with its process if need be, and waits until it is gone.
Result<void> kill_vm(const RunDirectory& directory, const RunningVm& vm);

// Devices that come to a VM and go while it runs. `device` has what __org.banyan_device-add takes.
// Gives the id.
Result<std::string> add_device(const RunDirectory& directory, const RunningVm& vm,
                               const nlohmann::ordered_json& device);
// Waits until the guest has let go of it. Fails with ErrorCode::busy when it has not in time.
Result<void> remove_device(const RunDirectory& directory, const RunningVm& vm,
                           const std::string& id, std::chrono::seconds limit);
// [{"id", "kind", "state", "what"}]: the kind is "disk" or "net", the state "fixed", "added" or
// "leaving".
Result<nlohmann::ordered_json> devices_of(const RunDirectory& directory, const RunningVm& vm);
// Makes a disk larger.
Result<void> resize_disk(const RunDirectory& directory, const RunningVm& vm,
                         const std::string& name, uint64_t bytes);

}  // namespace banyan
