#include "app/cli/foreground.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>

#include "app/cli/cli.hpp"
#include "app/cli/print.hpp"
#include "app/cli/qmp_service.hpp"
#include "app/cli/screen_service.hpp"
#include "app/cli/statistics_report.hpp"
#include "app/cli/vm_sandbox.hpp"
#include "app/screen/screen_client.hpp"
#include "host/linux/event_loop.hpp"
#include "host/linux/run_directory.hpp"
#include "host/linux/signals.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/linux/terminal.hpp"
#include "host/posix/notifier.hpp"
#include "manager/running_vms.hpp"
#include "manager/store/vm_directory.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

namespace {

// Before the guest runs, a signal ends the process at once; nohup's choice is respected.
constexpr SignalEnd kEndedEarly{
    "banyan: the VM was ended: a signal came before the guest ran; run it again\n", kStatusStopped};
constexpr SignalEnd kStuck{"banyan: the VM was ended: it did not stop in time; please report it\n",
                           kStatusStopped};
constexpr unsigned kStopSeconds = 10;

void end_at_once() {
    end_at_signals({SIGINT, SIGTERM, SIGQUIT}, kEndedEarly);
    if (!is_ignored(SIGHUP)) end_at_signals({SIGHUP}, kEndedEarly);
}

// Further signals change nothing (timeout(1) sends two); an orderly end that hangs is cut short.
void limit_time_to_stop() {
    end_at_signals({SIGALRM}, kStuck);
    ::alarm(kStopSeconds);
}

class Foreground {
public:
    Foreground(EventLoop& loop, VmApi& vm) : loop_(loop), vm_(vm) {}

    Result<VmOutcome> run(bool at_terminal) {
        TRY(take_signals());
        if (at_terminal) {
            TRY_ASSIGN(terminal, RawTerminal::enter(STDIN_FILENO));
            terminal_ = std::move(terminal);
        }
        VmOutcome outcome = vm_.run();
        if (terminal_ != nullptr && !outcome.message.empty()) end_line_of_guest();
        terminal_.reset();
        return outcome;
    }

private:
    Result<void> take_signals() {
        const bool hang_up_ends = !is_ignored(SIGHUP);
        hold_signals({SIGINT, SIGTERM, SIGQUIT, SIGTSTP});
        if (hang_up_ends) hold_signals({SIGHUP});
        const auto action = [this](int number) { on_signal(number); };
        auto watch =
            hang_up_ends
                ? SignalWatch::create(loop_, {SIGINT, SIGTERM, SIGQUIT, SIGTSTP, SIGHUP}, action)
                : SignalWatch::create(loop_, {SIGINT, SIGTERM, SIGQUIT, SIGTSTP}, action);
        if (!watch) return tl::unexpected(watch.error());
        signals_ = std::move(*watch);
        return {};
    }

    void on_signal(int number) {
        if (number == SIGTSTP) {
            stop_process();
            return;
        }
        vm_.stop(fmt::format("SIG{} came", ::sigabbrev_np(number)), VmCause::host_signal);
        limit_time_to_stop();
    }

    void stop_process() {
        vm_.pause(PauseReason::host);
        if (terminal_ != nullptr) terminal_->leave();
        ::raise(SIGSTOP);
        if (terminal_ != nullptr) terminal_->enter_again();
        vm_.resume(PauseReason::host);
    }

    // So that our message does not continue a prompt.
    static void end_line_of_guest() {
        if (::isatty(STDERR_FILENO) == 0) return;
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, "\r\n", 2);
    }

    EventLoop& loop_;
    VmApi& vm_;
    std::unique_ptr<SignalWatch> signals_;
    std::unique_ptr<RawTerminal> terminal_;
};

// Null: it is not wanted.
Result<std::unique_ptr<GdbService>> start_gdb(Poller& poller, VmApi& vm,
                                              const std::optional<GdbChoice>& choice) {
    if (!choice) return std::unique_ptr<GdbService>();
    return GdbService::start(poller, vm, *choice);
}

// A guest is worth more than its screen: without a place for it it runs all the same.
std::unique_ptr<ScreenService> start_screen(Poller& poller, VmApi& vm) {
    const auto open = [&]() -> Result<std::unique_ptr<ScreenService>> {
        TRY_ASSIGN(directory, RunDirectory::open());
        return ScreenService::start(poller, vm, screen_socket(directory.path(), ::getpid()));
    };
    auto service = open();
    if (service) return std::move(*service);
    print_message(fmt::format("warning: banyan screenshot and send-key cannot reach this VM: {}",
                              service.error().text()));
    return nullptr;
}

// The same is true of its control, but for a socket that was asked for.
Result<std::unique_ptr<QmpService>> start_qmp(Poller& poller, VmApi& vm, ResourceService& resources,
                                              const std::string& wanted, const VmSandbox& sandbox) {
    TRY_ASSIGN(service, QmpService::create(poller, vm, resources));
    add_sandbox_command(service->commands(), sandbox);
    const auto listen = [&]() -> Result<void> {
        TRY_ASSIGN(directory, RunDirectory::open());
        return service->listen(
            fmt::format("{}/{}", directory.path(), vm_file(::getpid(), kControl)));
    };
    if (const auto listening = listen(); !listening) {
        print_message(
            fmt::format("warning: banyan list, stop and the like cannot reach this VM: "
                        "{}",
                        listening.error().text()));
    }
    if (!wanted.empty()) TRY(service->listen(wanted));
    return service;
}

// Runs with the guest: from then on the caller's terminal is its own again. Null: there is none.
Result<std::unique_ptr<Notifier>> begin_detached(Poller& poller, VmApi& vm, Detached* detached) {
    if (detached == nullptr) return std::unique_ptr<Notifier>();
    TRY_ASSIGN(runs, Notifier::create(poller, [&vm, detached] {
                   if (!detached->let_caller_go(vm.config().name))
                       vm.stop("who started it has gone", VmCause::host_signal);
               }));
    runs->notify();
    return runs;
}

// Null: it is not wanted.
Result<std::unique_ptr<VncService>> start_vnc(Poller& poller, VmApi& vm, const std::string& name,
                                              const std::optional<VncChoice>& choice) {
    if (!choice) return std::unique_ptr<VncService>();
    return VncService::start(poller, vm, name, *choice);
}

// One with a log is found by its VM's name.
void say_where_console_is(const ConsoleChoice& console, std::string_view place) {
    if (place.empty() || !console.log.empty()) return;
    const bool is_socket = console.kind == ConsoleKind::socket;
    print_message(
        fmt::format("console: it is {}; open it with {}", place,
                    is_socket ? "socat or a program like it" : "screen or a program like it"));
}

void print_outcome(const VmOutcome& outcome) {
    if (!outcome.message.empty()) print_message(outcome.message);
    // A triple fault is the guest's own doing: its registers are for those who debug the guest.
    const bool wanted = outcome.end == VmEnd::internal_error || log_enabled(LogLevel::info);
    if (!wanted) return;
    std::string_view rest = outcome.registers;
    while (!rest.empty()) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        print_message(fmt::format("  {}", rest.substr(0, end)));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
}

Result<VmOutcome> run_vm(const VmConfig& config, const Companions& companions) {
    const std::string gdb_path = companions.gdb ? companions.gdb->address.path : "";
    TRY_ASSIGN(sandbox,
               VmSandbox::prepare(config, {companions.control, gdb_path}, companions.stored));
    TRY_ASSIGN(loop, EventLoop::create());
    TRY_ASSIGN(vm, create_vm(config, *loop));
    print_message(vm->engine_reason());
    say_where_console_is(config.console, vm->console_place());
    TRY_ASSIGN(resources, ResourceService::create(*vm, companions.resources));
    TRY_ASSIGN(statistics, StatisticsReport::start(*loop, *vm, *resources, companions.trace_engine,
                                                   companions.stored));
    TRY_ASSIGN(gdb, start_gdb(*loop, *vm, companions.gdb));
    TRY_ASSIGN(qmp, start_qmp(*loop, *vm, *resources, companions.control, sandbox));
    const auto screen = start_screen(*loop, *vm);
    TRY_ASSIGN(vnc, start_vnc(*loop, *vm, config.name, companions.vnc));
    TRY_ASSIGN(runs, begin_detached(*loop, *vm, companions.detached));
    if (companions.inherited != nullptr) companions.inherited->close();
    TRY(sandbox.enter());
    const bool at_terminal =
        config.console.kind == ConsoleKind::stdio && ::isatty(STDIN_FILENO) != 0;
    TRY_ASSIGN(outcome, Foreground(*loop, *vm).run(at_terminal));
    statistics->finish();
    if (gdb != nullptr) gdb->finish(exit_status(outcome));
    print_outcome(outcome);
    return outcome;
}

// For the commands that come after this process.
void keep_ending(const std::string& stored, const Result<VmOutcome>& outcome) {
    const auto process = find_process(::getpid());
    if (stored.empty() || !process) return;
    const StoredEnding ending =
        outcome ? StoredEnding{exit_status(*outcome), std::string(name_of(outcome->cause)),
                               outcome->message, seconds_since_1970()}
                : StoredEnding{kStatusFailed, std::string(name_of(VmCause::host_error)),
                               std::string(outcome.error().text()), seconds_since_1970()};
    if (const auto kept = write_ending(stored, *process, ending); !kept)
        print_message(kept.error().text());
}

}  // namespace

int run_in_foreground(const VmConfig& config, const Companions& companions) {
    ignore_write_signals();
    end_at_once();
    const auto outcome = run_vm(config, companions);
    keep_ending(companions.stored, outcome);
    return outcome ? exit_status(*outcome) : print_error(outcome.error());
}

}  // namespace banyan
