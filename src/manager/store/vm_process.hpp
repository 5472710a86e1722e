// VmProcess: which process runs a VM; another one of the same number later, also after the host was
// restarted, is told from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace banyan {

struct VmProcess {
    int pid = 0;
    uint64_t start = 0;  // as process_start()
    std::string boot;    // of the host: random(4), boot_id

    bool operator==(const VmProcess&) const = default;
};

// Nothing: there is none of that number.
std::optional<VmProcess> find_process(int pid);
bool is_alive(const VmProcess& process);
// False: it is of the time before the host's last start.
bool is_of_this_boot(const VmProcess& process);
// SIGKILL, for what is_alive().
void kill_process(const VmProcess& process);

}  // namespace banyan
