#include "cpu/interp/interp_engine.hpp"

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/code_coherence.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/cpu_vcpu.hpp"

namespace banyan::interp {

namespace {

class InterpVcpu final : public CpuVcpu {
public:
    InterpVcpu(const VcpuWiring& wiring, GuestMemory& memory, const Clock& clock,
               const CpuModel& model, CodeCoherence& coherence)
        : CpuVcpu(cpu_), cpu_(wiring, memory, clock, model, coherence) {}

private:
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
