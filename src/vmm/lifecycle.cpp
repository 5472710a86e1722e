#include "vmm/lifecycle.hpp"

#include <fmt/format.h>
#include <utility>

#include "support/log.hpp"
#include "vmm/register_dump.hpp"

namespace banyan {

namespace {

VmOutcome outcome_of(MachineEvent event, uint32_t value) {
    switch (event) {
        case MachineEvent::power_off: return {VmEnd::powered_off};
        case MachineEvent::reset: return {.end = VmEnd::reset, .cause = VmCause::guest_reset};
        case MachineEvent::guest_panic:
            return {
                .end = VmEnd::guest_panic,
                .message = "the guest crashed: its kernel reported a panic; its console says why",
                .cause = VmCause::guest_panic};
        case MachineEvent::debug_exit: return {.end = VmEnd::debug_exit, .value = value};
    }
    return {};
}

VmOutcome outcome_of(unsigned index, const Exit& exit, const x86::RegisterState& state) {
    if (exit.reason == ExitReason::shutdown) {
        return {
            .end = VmEnd::triple_fault,
            .message = fmt::format(
                "the guest crashed: triple fault of CPU {} at rip {:#x}; its console may say why",
                index, state.rip),
            .registers = format_registers(state),
            .cause = VmCause::guest_panic};
    }
    return {.end = VmEnd::internal_error,
            .message = fmt::format(
                "the engine cannot go on: CPU {} at rip {:#x}: {}; please report it with the "
                "registers below",
                index, state.rip, exit.text),
            .registers = format_registers(state),
            .cause = VmCause::host_error};
}

}  // namespace

Result<std::unique_ptr<Lifecycle>> Lifecycle::create(EventLoop& loop, LifecycleConfig config) {
    auto lifecycle = std::unique_ptr<Lifecycle>(new Lifecycle(loop, std::move(config)));
    TRY_ASSIGN(asked, Notifier::create(loop, [raw = lifecycle.get()] { raw->carry_out(); }));
    lifecycle->asked_ = std::move(asked);
    return lifecycle;
}

Lifecycle::Lifecycle(EventLoop& loop, LifecycleConfig config)
    : loop_(loop), config_(std::move(config)), vcpus_(config_.cpus, *this) {}

VmOutcome Lifecycle::run() {
    vcpus_.start();
    loop_.run();
    vcpus_.stop();
    return outcome_;
}

void Lifecycle::request(MachineEvent event, uint32_t value) {
    ask(outcome_of(event, value));
}

void Lifecycle::watchdog_expired(MachineEvent action) {
    ask(outcome_of(action, 0), true);
}

void Lifecycle::reset() {
    ask({.end = VmEnd::reset, .cause = VmCause::host_reset});
}

void Lifecycle::on_vcpu_exit(unsigned index, const Vcpu& vcpu, const Exit& exit) {
    if (exit.reason == ExitReason::debug) {
        config_.debug_stop(index, exit.debug);
        return;
    }
    x86::RegisterState state;
    vcpu.get_state(state);
    ask(outcome_of(index, exit, state));
}

void Lifecycle::ask(VmOutcome outcome, bool by_watchdog) {
    {
        const std::lock_guard lock(mutex_);
        if (request_) return;
        request_ = Request{std::move(outcome), by_watchdog};
    }
    vcpus_.hold();
    asked_->notify();
}

void Lifecycle::stop(std::string_view why, VmCause cause) {
    end_from_outside({.end = VmEnd::stopped,
                      .message = fmt::format("the VM was ended: {}; the guest was not shut down, "
                                             "power it off from inside to lose nothing",
                                             why),
                      .cause = cause});
}

void Lifecycle::lose_console(std::string_view why) {
    end_from_outside({.end = VmEnd::failed,
                      .message = fmt::format("write the console to standard output: {}; keep its "
                                             "reader, or use --console file:PATH or none",
                                             why),
                      .cause = VmCause::host_error});
}

void Lifecycle::end_from_outside(VmOutcome outcome) {
    {
        const std::lock_guard lock(mutex_);
        if (stop_) return;
        stop_ = Request{std::move(outcome)};
    }
    asked_->notify();
}

std::optional<Lifecycle::Request> Lifecycle::take_request() {
    const std::lock_guard lock(mutex_);
    return stop_ ? stop_ : request_;
}

void Lifecycle::carry_out() {
    auto asked = take_request();
    if (!asked) return;
    if (asked->by_watchdog) config_.tell({.kind = VmEvent::Kind::watchdog});
    if (asked->outcome.end == VmEnd::reset && config_.reboot) {
        restart(asked->outcome.cause);
    } else {
        end(std::move(asked->outcome));
    }
}

void Lifecycle::restart(VmCause cause) {
    LOG_INFO("vm", "the guest reboots");
    vcpus_.pause();
    config_.tell({.kind = VmEvent::Kind::reset, .cause = cause});
    if (auto restarted = config_.restart(); !restarted) {
        end({.end = VmEnd::failed,
             .message = std::string(restarted.error().text()),
             .cause = VmCause::host_error});
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        request_.reset();
    }
    vcpus_.resume();
}

void Lifecycle::end(VmOutcome outcome) {
    if (outcome.end == VmEnd::guest_panic) config_.tell({.kind = VmEvent::Kind::guest_panic});
    outcome_ = std::move(outcome);
    config_.tell({.kind = VmEvent::Kind::ended, .cause = outcome_.cause, .outcome = &outcome_});
    loop_.stop();
}

}  // namespace banyan
