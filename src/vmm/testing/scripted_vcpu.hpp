// A vCPU without a CPU: for tests of what stands around vCPUs.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "arch/x86/register_state.hpp"
#include "vm/engine.hpp"

namespace banyan {

// A vCPU that does what a list of steps says; when the list is at its end it halts for good.
class ScriptedVcpu final : public Vcpu {
public:
    using Step = std::function<Exit(ScriptedVcpu&)>;

    ScriptedVcpu(VcpuWaker& waker, std::vector<Step> steps)
        : waker_(waker), steps_(std::move(steps)) {
        state_.rip = 0x1234;
    }

    Exit run() override {
        if (kicked_.exchange(false)) return {ExitReason::interrupted};
        // Work that came before the halt is there at the halt, as a pending interrupt is.
        if (std::exchange(halted_, false)) work_ = false;
        const Exit exit =
            next_ == steps_.size() ? Exit{ExitReason::halted} : steps_[next_++](*this);
        halted_ = exit.reason == ExitReason::halted;
        return exit;
    }
    void kick() override { kicked_ = true; }
    bool has_work() const override { return work_; }
    VcpuSignals& signals() override { return signals_; }
    void get_state(x86::RegisterState& state) const override { state = state_; }
    Result<void> set_state(const x86::RegisterState& state) override {
        state_ = state;
        return {};
    }
    void reset() override {
        next_ = 0;
        halted_ = false;
        state_ = {};
    }
    Result<void> set_debug(const DebugRequest& request) override {
        debug_ = request;
        return {};
    }
    // One to one; from kUnmapped on there is nothing.
    static constexpr uint64_t kUnmapped = uint64_t{1} << 40;
    std::optional<Gpa> translate(uint64_t linear) const override {
        if (linear >= kUnmapped) return std::nullopt;
        return Gpa{linear};
    }
    uint64_t instructions() const override { return next_; }

    const DebugRequest& debug() const { return debug_; }

    // What an interrupt does.
    void give_work() {
        work_ = true;
        waker_.wake();
    }
    // Stays in the guest until it is kicked.
    Exit spin() {
        while (!kicked_.exchange(false))
            std::this_thread::yield();
        return {ExitReason::interrupted};
    }

private:
    class IgnoredSignals final : public VcpuSignals {
        void raise_interrupt() override {}
        void raise_nmi() override {}
        void raise_smi() override {}
        void raise_init() override {}
        void raise_sipi(uint8_t) override {}
    };

    VcpuWaker& waker_;
    IgnoredSignals signals_;
    x86::RegisterState state_;
    DebugRequest debug_;
    const std::vector<Step> steps_;
    bool halted_ = false;  // of the thread that runs it
    std::atomic<size_t> next_{0};
    std::atomic<bool> kicked_{false};
    std::atomic<bool> work_{false};
};

}  // namespace banyan
