#include "lockstep/boot/checked_engine.hpp"

#include "cpu/interp/code_coherence.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/cpu_vcpu.hpp"
#include "lockstep/boot/checker.hpp"

namespace banyan::lockstep {

namespace {

class CheckedVcpu final : public interp::CpuVcpu {
public:
    CheckedVcpu(jit::JitCpuPtr cpu, const CheckOptions& options, CheckResult& result)
        : CpuVcpu(*cpu), cpu_(std::move(cpu)), checker_(*cpu_, options, result) {}

private:
    jit::JitCpuPtr cpu_;
    Checker checker_;
};

class CheckedEngine final : public Engine {
public:
    CheckedEngine(const EngineConfig& config, interp::CpuModel model, const CheckOptions& options,
                  CheckResult& result)
        : memory_(*config.memory),
          clock_(*config.clock),
          model_(model),
          options_(options),
          result_(result),
          coherence_(memory_) {}

    std::string_view name() const override { return "soft-checked"; }

    Result<std::unique_ptr<Vcpu>> create_vcpu(const VcpuWiring& wiring) override {
        auto cpu = jit::make_jit_cpu(wiring, memory_, clock_, model_, coherence_);
        if (cpu == nullptr || wiring.index != 0)
            return fail(ErrorCode::unsupported, "check the JIT: it takes memory, and one vCPU");
        return std::make_unique<CheckedVcpu>(std::move(cpu), options_, result_);
    }

    void drop_write_mappings() override { coherence_.drop_write_mappings(); }

private:
    GuestMemory& memory_;
    const Clock& clock_;
    interp::CpuModel model_;
    CheckOptions options_;
    CheckResult& result_;
    interp::CodeCoherence coherence_;
};

}  // namespace

EngineChoice checked_engine(const CheckOptions& options, CheckResult& result) {
    const auto create = [options, &result](
                            const EngineConfig& config,
                            std::string_view cpu_model) -> Result<std::unique_ptr<Engine>> {
        TRY_ASSIGN(model,
                   interp::CpuModel::create(cpu_model, config.cpu_count, config.clock->tsc_hz()));
        return std::make_unique<CheckedEngine>(config, model, options, result);
    };
    return {create, "engine soft, checked"};
}

}  // namespace banyan::lockstep
