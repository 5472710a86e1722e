// Which engine executes a guest, and why.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vm/engine.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

struct EngineReport {
    std::string_view name;
    bool available = false;
    std::string_view reason;
};

// All engines that Banyan knows of, best first: for `banyan doctor`.
std::vector<EngineReport> report_engines();

using EngineFactory = std::function<Result<std::unique_ptr<Engine>>(const EngineConfig& config,
                                                                    std::string_view cpu_model)>;

struct EngineChoice {
    EngineFactory create;
    std::string reason;  // "engine interp: why"
};

// Fails with ErrorCode::unsupported when this build lacks the engine.
Result<EngineChoice> choose_engine(EngineKind kind);

}  // namespace banyan
