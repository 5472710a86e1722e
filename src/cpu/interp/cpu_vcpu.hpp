// CpuVcpu: a Cpu as engines show it to the machine.
#pragma once

#include "cpu/interp/cpu.hpp"
#include "vm/engine.hpp"

namespace banyan::interp {

class CpuVcpu : public Vcpu, public VcpuSignals {
public:
    // `cpu` outlives this.
    explicit CpuVcpu(Cpu& cpu) : cpu_(cpu) {}

    Exit run() override { return cpu_.run(); }
    void kick() override { signal(kEventKick); }
    bool has_work() const override { return cpu_.has_work(); }
    VcpuSignals& signals() override { return *this; }
    void get_state(x86::RegisterState& state) const override { cpu_.get_state(state); }
    Result<void> set_state(const x86::RegisterState& state) override {
        cpu_.set_state(state);
        return {};
    }
    void reset() override { cpu_.reset(false); }
    Result<void> set_debug(const DebugRequest& request) override {
        cpu_.set_debug(request);
        return {};
    }
    std::optional<Gpa> translate(uint64_t linear) const override {
        uint64_t gpa;
        if (!cpu_.translate_for_debug(linear, gpa)) return std::nullopt;
        return Gpa{gpa};
    }
    uint64_t instructions() const override { return cpu_.retired; }
    Statistics statistics() const override;

    void raise_interrupt() override { signal(kEventInterrupt); }
    void raise_nmi() override { signal(kEventNmi); }
    void raise_smi() override {}
    // A start-up IPI before the INIT is not for what the vCPU is then.
    void raise_init() override {
        cpu_.events.fetch_and(~uint32_t{kEventSipi});
        signal(kEventInit);
    }
    void raise_sipi(uint8_t vector) override {
        cpu_.sipi_vector = vector;
        signal(kEventSipi);
    }

private:
    void signal(uint32_t event) {
        cpu_.post(event);
        if (cpu_.wiring.waker != nullptr) cpu_.wiring.waker->wake();
    }

    Cpu& cpu_;
};

}  // namespace banyan::interp
