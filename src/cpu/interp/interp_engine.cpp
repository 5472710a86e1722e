#include "cpu/interp/interp_engine.hpp"

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/code_coherence.hpp"
#include "cpu/interp/cpu.hpp"
#include "cpu/interp/cpu_model.hpp"

namespace banyan::interp {

namespace {

class InterpVcpu final : public Vcpu, public VcpuSignals {
public:
    InterpVcpu(const VcpuWiring& wiring, GuestMemory& memory, const Clock& clock,
               const CpuModel& model, CodeCoherence& coherence)
        : waker_(wiring.waker), cpu_(wiring, memory, clock, model, coherence) {}

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
    uint64_t instructions() const override { return cpu_.retired; }

    void raise_interrupt() override { signal(kEventInterrupt); }
    void raise_nmi() override { signal(kEventNmi); }
    void raise_smi() override {}
    void raise_init() override { signal(kEventInit); }
    void raise_sipi(uint8_t vector) override {
        cpu_.sipi_vector = vector;
        signal(kEventSipi);
    }

private:
    void signal(uint32_t event) {
        cpu_.post(event);
        if (waker_ != nullptr) waker_->wake();
    }

    VcpuWaker* waker_;
    Cpu cpu_;
};

class InterpEngine final : public Engine {
public:
    InterpEngine(const EngineConfig& config, CpuModel model)
        : memory_(*config.memory), clock_(*config.clock), model_(model), coherence_(memory_) {}

    std::string_view name() const override { return "interp"; }

    Result<std::unique_ptr<Vcpu>> create_vcpu(const VcpuWiring& wiring) override {
        return std::make_unique<InterpVcpu>(wiring, memory_, clock_, model_, coherence_);
    }

    void drop_write_mappings() override { coherence_.drop_write_mappings(); }

private:
    GuestMemory& memory_;
    const Clock& clock_;
    CpuModel model_;
    CodeCoherence coherence_;
};

}  // namespace

Result<std::unique_ptr<Engine>> create_engine(const EngineConfig& config,
                                              std::string_view cpu_model) {
    TRY_ASSIGN(model, CpuModel::create(cpu_model, config.cpu_count, config.clock->tsc_hz()));
    return std::make_unique<InterpEngine>(config, model);
}

}  // namespace banyan::interp
