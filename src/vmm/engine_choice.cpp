#include "vmm/engine_choice.hpp"

#include "cpu/interp/interp_engine.hpp"
#include "cpu/jit/jit_engine.hpp"
#include "cpu/kvm/kvm_engine.hpp"

namespace banyan {

namespace {

EngineChoice interpreter(std::string_view why) {
    return {interp::create_engine, "engine interp: " + std::string(why)};
}

EngineChoice soft(std::string_view why) {
    return {[](const EngineConfig& config, std::string_view cpu_model) {
                return jit::create_engine(config, cpu_model);
            },
            "engine soft: " + std::string(why)};
}

EngineChoice hardware(std::string_view why) {
    return {kvm::create_engine, "engine kvm: " + std::string(why)};
}

std::string with_remedy(const kvm::KvmVerdict& kvm) {
    return kvm.remedy.empty() ? kvm.why : kvm.why + "; " + kvm.remedy;
}

}  // namespace

std::vector<EngineReport> report_engines(const kvm::KvmVerdict& kvm) {
    return {{"kvm", kvm.usable, with_remedy(kvm)},
            {"soft", true, "runs everywhere; a JIT for 64-bit code, an interpreter for the rest"},
            {"interp", true, "runs everywhere; an interpreter, the slowest engine"}};
}

std::vector<EngineReport> report_engines() {
    return report_engines(judge(kvm::look_at_host()));
}

Result<EngineChoice> choose_engine(EngineKind kind, const kvm::KvmVerdict& kvm) {
    switch (kind) {
        case EngineKind::kvm:
            if (!kvm.usable) return fail(ErrorCode::unsupported, kvm.refusal());
            return hardware("asked for by --engine");
        case EngineKind::automatic: return kvm.fast ? hardware(kvm.why) : soft(with_remedy(kvm));
        case EngineKind::soft: return soft("asked for by --engine");
        case EngineKind::interp: return interpreter("asked for by --engine");
    }
    return fail(ErrorCode::invalid_argument, "choose an engine: no such kind; use --engine auto");
}

Result<EngineChoice> choose_engine(EngineKind kind) {
    const bool matters = kind == EngineKind::kvm || kind == EngineKind::automatic;
    return choose_engine(kind, matters ? judge(kvm::look_at_host()) : kvm::KvmVerdict{});
}

}  // namespace banyan
