#include "manager/store/vm_process.hpp"

#include <csignal>
#include <fstream>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/linux/run_directory.hpp"
#include "host/posix/unique_fd.hpp"

namespace banyan {

namespace {

const std::string& boot_of_host() {
    static const std::string boot = [] {
        std::string line;
        std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), line);
        return line;
    }();
    return boot;
}

}  // namespace

std::optional<VmProcess> find_process(int pid) {
    const auto start = process_start(pid);
    if (!start) return {};
    return VmProcess{pid, *start, boot_of_host()};
}

bool is_alive(const VmProcess& process) {
    return is_of_this_boot(process) && process_start(process.pid) == process.start;
}

bool is_of_this_boot(const VmProcess& process) {
    return process.boot == boot_of_host();
}

// By a descriptor, which goes on meaning the process that was looked at.
void kill_process(const VmProcess& process) {
    const UniqueFd own(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (!own.valid() || !is_alive(process)) return;
    ::syscall(SYS_pidfd_send_signal, own.get(), SIGKILL, nullptr, 0);
}

}  // namespace banyan
