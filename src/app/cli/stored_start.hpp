// A stored VM gets a process.
#pragma once

#include <string>

namespace banyan {

struct StoredStart {
    int status = 0;      // to exit with
    bool is_vm = false;  // this is the VM's process, and it has ended: nothing else is left to do
};
// Returns in both processes: in the caller's once the guest runs or has failed, in the VM's when it
// has ended. The VM's name, or what went wrong, is printed. Before there are threads, and before a
// store was opened.
StoredStart start_stored_vm(const std::string& name);

}  // namespace banyan
