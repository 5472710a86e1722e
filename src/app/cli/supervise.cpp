#include "app/cli/supervise.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/cli/cli.hpp"
#include "app/cli/print.hpp"
#include "app/cli/stored_vms.hpp"
#include "host/linux/helper_program.hpp"
#include "host/linux/signals.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"
#include "manager/store/restart_plan.hpp"

namespace banyan {

namespace {

using SupervisorClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookAgain{1000};  // for changes by other commands

// Held while it lives.
Result<UniqueFd> be_the_only_one(const std::string& store) {
    const std::string what = "supervise " + quote_name(store);
    UniqueFd own(::open(store.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own.valid()) return host_fail(errno, what, "check its rights");
    if (::flock(own.get(), LOCK_EX | LOCK_NB) == 0) return own;
    return fail(ErrorCode::busy, what + ": another banyan supervise runs already; one is enough");
}

class Supervisor {
public:
    explicit Supervisor(const VmStore& store) : store_(store) {}

    // False: it goes on; true: it was told to end.
    Result<bool> step() {
        TRY_ASSIGN(all, store_.all());
        for (const std::string& name : plan_.due(all, SupervisorClock::now()))
            start(name);
        const bool told = wait_for_something();
        reap(all);
        return told;
    }

private:
    // By a process of its own: what a VM's process is forked from carries no store.
    static void start(const std::string& name) {
        print_message(fmt::format("supervise: starting {}", quote_name(name)));
        const auto started =
            start_helper("supervise", {"/proc/self/exe", "start", name}, STDOUT_FILENO);
        if (!started) print_message(started.error().text());
    }

    bool wait_for_something() const {
        auto wait = SupervisorClock::duration(kLookAgain);
        if (const auto next = plan_.next()) {
            wait = std::clamp(*next - SupervisorClock::now(), SupervisorClock::duration(0), wait);
        }
        const auto nanoseconds = std::chrono::nanoseconds(wait).count();
        constexpr int64_t kSecond = 1'000'000'000;
        const timespec limit{nanoseconds / kSecond, nanoseconds % kSecond};
        sigset_t wanted;
        ::sigemptyset(&wanted);
        for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
            ::sigaddset(&wanted, number);
        const int came = ::sigtimedwait(&wanted, nullptr, &limit);
        return came > 0 && came != SIGCHLD;
    }

    // VMs whose starter has ended are children of this process: it learns of their signals. `all`:
    // as they were before, since the store takes those that wait to be reaped for ended, too.
    void reap(const std::vector<StoredVm>& all) const {
        for (;;) {
            siginfo_t ended{};
            if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG) != 0 || ended.si_pid == 0) return;
            if (ended.si_code == CLD_EXITED) continue;
            note_signal(all, ended.si_pid, ended.si_status);
        }
    }

    void note_signal(const std::vector<StoredVm>& all, pid_t pid, int number) const {
        const auto vm = std::ranges::find_if(
            all, [&](const StoredVm& one) { return one.process && one.process->pid == pid; });
        if (vm == all.end()) return;
        constexpr int kShellsOffset = 128;
        const char* const name = ::sigabbrev_np(number);
        const std::string message =
            fmt::format("its process was ended by SIG{}", name != nullptr ? name : "?");
        print_message(fmt::format("supervise: {}: {}", quote_name(vm->definition.name), message));
        (void)write_ending(
            store_.directory_of(*vm), *vm->process,
            {kShellsOffset + number, std::string(kProcessKilled), message, seconds_since_1970()});
    }

    const VmStore& store_;
    RestartPlan plan_;
};

}  // namespace

int supervise() {
    hold_signals({SIGCHLD, SIGTERM, SIGINT, SIGHUP});
    const auto store = VmStore::open();
    if (!store) return print_error(store.error());
    const auto lock = be_the_only_one((*store)->path());
    if (!lock) return print_error(lock.error());
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    Supervisor supervisor(**store);
    for (;;) {
        const auto told = supervisor.step();
        if (!told) return print_error(told.error());
        if (*told) return 0;
    }
}

// KillMode: the VMs outlive it, and are found by the next one.
std::string supervise_unit() {
    return fmt::format(
        "[Unit]\n"
        "Description=Banyan: virtual machines that start by themselves\n"
        "\n"
        "[Service]\n"
        "ExecStart={} supervise\n"
        "KillMode=process\n"
        "Restart=on-failure\n"
        "\n"
        "[Install]\n"
        "WantedBy=default.target\n",
        helper_path("banyan"));
}

}  // namespace banyan
