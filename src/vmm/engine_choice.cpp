#include "vmm/engine_choice.hpp"

#include "cpu/interp/interp_engine.hpp"

namespace banyan {

namespace {

constexpr std::string_view kNoKvm = "KVM support is not in this build";
constexpr std::string_view kNoJit = "the JIT is not in this build";

EngineChoice interpreter(std::string_view why) {
    return {interp::create_engine, "engine interp: " + std::string(why)};
}

}  // namespace

std::vector<EngineReport> report_engines() {
    return {{"kvm", false, kNoKvm},
            {"soft", true,
             "runs everywhere; as the JIT is not in this build, its interpreter does all the work"},
            {"interp", true, "runs everywhere; an interpreter, the slowest engine"}};
}

Result<EngineChoice> choose_engine(EngineKind kind) {
    switch (kind) {
        case EngineKind::kvm:
            return fail(ErrorCode::unsupported,
                        "use the engine kvm: " + std::string(kNoKvm) + "; use --engine auto");
        case EngineKind::automatic:
            return interpreter(std::string(kNoKvm) + ", and neither is the JIT");
        case EngineKind::soft:
            return interpreter(std::string(kNoJit) + ", its interpreter does all the work");
        case EngineKind::interp: return interpreter("asked for by --engine");
    }
    return fail(ErrorCode::invalid_argument, "choose an engine: no such kind; use --engine auto");
}

}  // namespace banyan
