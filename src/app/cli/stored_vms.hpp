// Facts of stored VMs, which may run or not, for people and programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "host/linux/run_directory.hpp"
#include "manager/store/vm_store.hpp"

namespace banyan {

// "created" (never started), "starting", "running", "stopped", "killed" (its process was),
// "crashed" (the guest) or "failed".
std::string_view state_of(const StoredVm& vm);

// Of one that does not run, with the members of summary_of() in manager/vm_actions.hpp, and "last":
// how it ended, {"status", "reason", "message", "when"} or null.
nlohmann::ordered_json summary_of(const StoredVm& vm);
// What only the store knows: "restart", "autostart", "directory", "options", "created", "started",
// "last".
nlohmann::ordered_json stored_facts(const StoredVm& vm);
std::string stored_text(const StoredVm& vm);
// How it ended the last time, in a few words; empty when it never ran.
std::string last_text(const StoredVm& vm);

// ErrorCode::not_found: there is none of that name. Does not make a store.
Result<StoredVm> find_stored(std::string_view command, const std::string& name);

// "ID": the number of the VM whose directory this is; 0: it is none.
int64_t stored_id(const std::string& directory);

// From now on nobody wants it to run: banyan supervise lets it be. `stored`: its directory.
void let_it_end(const std::string& stored);
// Ends its process, if it has one, at once. Fails with ErrorCode::busy when it does not end.
Result<void> end_stored_vm(const RunDirectory& directory, const VmStore& store, const StoredVm& vm);
// Until the process has given back what it had; at most 10 s.
void wait_for_process(const VmProcess& process);

}  // namespace banyan
