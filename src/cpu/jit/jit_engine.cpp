#include "cpu/jit/jit_engine.hpp"

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/code_coherence.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/cpu_vcpu.hpp"
#include "cpu/jit/runtime.hpp"

namespace banyan::jit {

namespace {

class JitVcpu final : public interp::CpuVcpu {
public:
    JitVcpu(JitCpuPtr cpu, const JitOptions& options, HostCodeListener* listener)
        : interp::CpuVcpu(*cpu), cpu_(std::move(cpu)), runtime_(*cpu_, options, listener) {}

    Statistics statistics() const override {
        Statistics list = interp::CpuVcpu::statistics();
        runtime_.statistics().append_to(list);
        return list;
    }

private:
    JitCpuPtr cpu_;
    Runtime runtime_;
};

class JitEngine final : public Engine {
public:
    JitEngine(const EngineConfig& config, interp::CpuModel model, const JitOptions& options)
        : memory_(*config.memory),
          clock_(*config.clock),
          model_(model),
          options_(options),
          listener_(config.host_code),
          coherence_(memory_) {}

    std::string_view name() const override { return "soft"; }

    Result<std::unique_ptr<Vcpu>> create_vcpu(const VcpuWiring& wiring) override {
        JitCpuPtr cpu = make_jit_cpu(wiring, memory_, clock_, model_, coherence_);
        if (cpu == nullptr) {
            return fail(ErrorCode::out_of_memory,
                        "create a virtual CPU: the host has no memory for it; end other programs");
        }
        return std::make_unique<JitVcpu>(std::move(cpu), options_, listener_);
    }

    void drop_write_mappings() override { coherence_.drop_write_mappings(); }

private:
    GuestMemory& memory_;
    const Clock& clock_;
    interp::CpuModel model_;
    JitOptions options_;
    HostCodeListener* listener_;
    interp::CodeCoherence coherence_;
};

}  // namespace

Result<std::unique_ptr<Engine>> create_engine(const EngineConfig& config,
                                              std::string_view cpu_model,
                                              const JitOptions& options) {
    TRY_ASSIGN(model,
               interp::CpuModel::create(cpu_model, config.cpu_count, config.clock->tsc_hz()));
    return std::make_unique<JitEngine>(config, model, options);
}

}  // namespace banyan::jit
