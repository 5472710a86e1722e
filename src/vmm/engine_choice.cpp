#include "vmm/engine_choice.hpp"

#include "cpu/interp/interp_engine.hpp"
#include "cpu/jit/jit_engine.hpp"

namespace banyan {

namespace {

constexpr std::string_view kNoKvm = "KVM support is not in this build";

EngineChoice interpreter(std::string_view why) {
    return {interp::create_engine, "engine interp: " + std::string(why)};
}

EngineChoice soft(std::string_view why) {
    return {[](const EngineConfig& config, std::string_view cpu_model) {
                return jit::create_engine(config, cpu_model);
            },
            "engine soft: " + std::string(why)};
}

}  // namespace

std::vector<EngineReport> report_engines() {
    return {{"kvm", false, kNoKvm},
            {"soft", true, "runs everywhere; a JIT for 64-bit code, an interpreter for the rest"},
            {"interp", true, "runs everywhere; an interpreter, the slowest engine"}};
}

Result<EngineChoice> choose_engine(EngineKind kind) {
    switch (kind) {
        case EngineKind::kvm:
            return fail(ErrorCode::unsupported,
                        "use the engine kvm: " + std::string(kNoKvm) + "; use --engine auto");
        case EngineKind::automatic: return soft(kNoKvm);
        case EngineKind::soft: return soft("asked for by --engine");
        case EngineKind::interp: return interpreter("asked for by --engine");
    }
    return fail(ErrorCode::invalid_argument, "choose an engine: no such kind; use --engine auto");
}

}  // namespace banyan
