#include "host/sandbox/sandbox.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <dirent.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <memory>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/posix/host_error.hpp"
#include "host/posix/threads.hpp"
#include "host/sandbox/every_thread.hpp"
#include "host/sandbox/seccomp.hpp"
#include "host/sandbox/thread_starter.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

constexpr std::string_view kOff = "use --sandbox off";

// Of files that belong to others (capabilities(7)): the share's server acts as the guest's users.
constexpr uint64_t kOfFiles = 1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH |
                              1U << CAP_FOWNER | 1U << CAP_FSETID | 1U << CAP_SETUID |
                              1U << CAP_SETGID | 1U << CAP_MKNOD;

// What all threads do to themselves, in a signal handler.
struct Confinement {
    int rules = -1;  // of Landlock; none
    bool seccomp = false;
    uint64_t capabilities = 0;
};
Confinement g_confinement;
std::atomic<int> g_error{0};

// False: the kernel refused.
bool keep_capabilities(uint64_t kept) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    if (::syscall(SYS_capget, &header, sets.data()) != 0) return false;
    for (size_t half = 0; half < sets.size(); ++half) {
        const auto mask = static_cast<uint32_t>(kept >> (32 * half));
        sets[half].effective &= mask;
        sets[half].permitted &= mask;
        sets[half].inheritable = 0;
    }
    return ::syscall(SYS_capset, &header, sets.data()) == 0;
}

void confine_this_thread() {
    int error = 0;
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) error = errno;
    if (error == 0 && g_confinement.rules >= 0) error = landlock::enter(g_confinement.rules);
    if (error == 0 && !keep_capabilities(g_confinement.capabilities)) error = EPERM;
    const bool needs_filter = g_confinement.seccomp && !thread_starter::is_this();
    if (error == 0 && needs_filter) error = seccomp::enter(this_thread_kind());
    if (error != 0) g_error = error;
}

void begin_thread(ThreadKind kind) {
    const int error = seccomp::enter(kind);
    if (error != 0) LOG_ERROR("sandbox", "a thread keeps the rights of all: error %d", error);
}

constexpr ThreadRules kRules{thread_starter::start, begin_thread};

// Guest memory says so itself. Other processes of the same user may not look inside either
// (ptrace(2), "Ptrace access mode checking").
Result<void> keep_memory_private() {
    const rlimit none{0, 0};
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && ::setrlimit(RLIMIT_CORE, &none) == 0)
        return {};
    return host_fail(errno, "sandbox: forbid core dumps", kOff);
}

// Translated code is written through one mapping and executed through another, both made at the
// start; hosts that refuse that make pages of it executable as the guest runs.
bool code_needs_no_new_pages() {
    constexpr size_t kPage = 4096;
    void* const page =
        ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return true;
    const bool allowed = ::mprotect(page, kPage, PROT_READ | PROT_EXEC) == 0;
    ::munmap(page, kPage);
    return allowed;
}

Result<void> enter_seccomp(SandboxMode mode, const SandboxNeeds& needs) {
    seccomp::prepare(mode, {.shares = needs.shares, .nat = needs.nat});
    thread_starter::begin();
    set_thread_rules(kRules);
    if (const int error = seccomp::enter_on_all_threads(); error != 0)
        return host_fail(error, "sandbox: filter system calls", kOff);
    return {};
}

Result<void> confine_all_threads() {
    g_error = 0;
    TRY(on_every_other_thread(confine_this_thread));
    confine_this_thread();
    if (const int error = g_error; error != 0)
        return host_fail(error, "sandbox: confine a thread", kOff);
    return {};
}

}  // namespace

SandboxReport sandbox_of_host() {
    SandboxReport report;
    report.seccomp = seccomp::available();
    report.landlock = landlock::version();
    if (!report.seccomp) {
        report.weaker = "the kernel filters no system calls";
    } else if (!code_needs_no_new_pages()) {
        report.seccomp = false;
        report.weaker =
            "the host forbids executable shared memory, so that system calls are not "
            "filtered";
    } else if (report.landlock == 0) {
        report.weaker =
            "the kernel has no Landlock, or it is switched off: files are only bound "
            "by system calls";
    }
    return report;
}

Result<SandboxReport> enter_sandbox(SandboxMode mode, const SandboxNeeds& needs) {
    if (mode == SandboxMode::off) return SandboxReport();
    SandboxReport report = sandbox_of_host();
    report.mode = mode;
    TRY(keep_memory_private());
    UniqueFd rules;
    if (mode == SandboxMode::on && report.landlock != 0) {
        TRY_ASSIGN(made, landlock::make({needs.files, needs.nat}));
        rules = std::move(made);
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return host_fail(errno, "sandbox: forbid new privileges", kOff);
    if (report.seccomp) TRY(enter_seccomp(mode, needs));
    const uint64_t kept = needs.shares ? kOfFiles : 0;
    g_confinement = {rules.get(), report.seccomp, mode == SandboxMode::log ? ~uint64_t{0} : kept};
    TRY(confine_all_threads());
    return report;
}

InheritedHandles InheritedHandles::find() {
    InheritedHandles found;
    const std::unique_ptr<DIR, int (*)(DIR*)> list(::opendir("/proc/self/fd"), ::closedir);
    if (list == nullptr) return found;
    while (const dirent* entry = ::readdir(list.get())) {
        int handle = 0;
        const char* const end = entry->d_name + std::strlen(entry->d_name);
        const auto [after, error] = std::from_chars(entry->d_name, end, handle);
        const bool is_own = handle <= STDERR_FILENO || handle == ::dirfd(list.get());
        if (error == std::errc{} && after == end && !is_own) found.handles_.push_back(handle);
    }
    return found;
}

void InheritedHandles::close() const {
    for (const int handle : handles_)
        ::close(handle);
}

}  // namespace banyan
