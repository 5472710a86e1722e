#include "host/sandbox/seccomp.hpp"

#include <cerrno>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <span>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace banyan::seccomp {

namespace {

#include <seccomp_filters.inc>

using Program = std::vector<sock_filter>;

// The generated ones, made this process' own.
struct Programs {
    Program process, loop, devices, disks, shares, nat;

    Program& of(ThreadKind kind) {
        switch (kind) {
            case ThreadKind::loop: return loop;
            case ThreadKind::device: return devices;
            case ThreadKind::disk: return disks;
            case ThreadKind::share: return shares;
            case ThreadKind::nat: return nat;
        }
        return devices;
    }
};

Programs& programs() {
    static Programs all;
    return all;
}

std::span<const sock_filter> for_process(Kinds kinds) {
    if (kinds.shares && kinds.nat) return kForProcessWithBoth;
    if (kinds.shares) return kForProcessWithShares;
    if (kinds.nat) return kForProcessWithNat;
    return kForProcess;
}

constexpr uint16_t kReturn = BPF_RET | BPF_K;
constexpr uint16_t kCompare = BPF_JMP | BPF_JEQ | BPF_K;

// In the mode `log` the kernel writes what it would refuse into its log, and does it.
Program own_program(std::span<const sock_filter> generated, SandboxMode mode) {
    Program program(generated.begin(), generated.end());
    const auto own_pid = static_cast<uint32_t>(::getpid());
    for (sock_filter& one : program) {
        if (one.code == kCompare && one.k == kOwnPid) one.k = own_pid;
        const bool refuses = one.code == kReturn && one.k == (SECCOMP_RET_ERRNO | EPERM);
        if (refuses && mode == SandboxMode::log) one.k = SECCOMP_RET_LOG;
    }
    return program;
}

// No protection of the processor's against other threads' guesses (SPEC_ALLOW): kernels before
// Linux 5.16 would slow down all translated code for it, and guest code runs here anyway.
int install(Program& program, unsigned long flags) {
    const sock_fprog whole{static_cast<unsigned short>(program.size()), program.data()};
    const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                  flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &whole);
    return result == 0 ? 0 : result < 0 ? errno : ESRCH;  // or a thread that could not follow
}

}  // namespace

bool available() {
    const uint32_t wanted = SECCOMP_RET_LOG;
    return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &wanted) == 0;
}

void prepare(SandboxMode mode, Kinds kinds) {
    programs() = {own_program(for_process(kinds), mode), own_program(kForLoop, mode),
                  own_program(kForDevices, mode),        own_program(kForDisks, mode),
                  own_program(kForShares, mode),         own_program(kForNat, mode)};
}

int enter_on_all_threads() {
    return install(programs().process, SECCOMP_FILTER_FLAG_TSYNC);
}

int enter(ThreadKind kind) {
    return install(programs().of(kind), 0);
}

int enter_as_broker() {
    Program program = own_program(kForBroker, SandboxMode::on);
    return install(program, 0);
}

}  // namespace banyan::seccomp
