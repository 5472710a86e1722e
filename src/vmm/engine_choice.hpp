// Which engine executes a guest, and why.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/kvm/kvm_probe.hpp"
#include "vm/engine.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

struct EngineReport {
    std::string_view name;
    bool available = false;
    std::string reason;
};

// All engines that Banyan knows of, best first: for `banyan doctor`.
std::vector<EngineReport> report_engines(const kvm::KvmVerdict& kvm);
std::vector<EngineReport> report_engines();

using EngineFactory = std::function<Result<std::unique_ptr<Engine>>(const EngineConfig& config,
                                                                    std::string_view cpu_model)>;

struct EngineChoice {
    EngineFactory create;
    std::string reason;  // "engine interp: why"
};

// `kvm`: whether this host has it. Fails with ErrorCode::unsupported when the engine that was asked
// for cannot run here.
Result<EngineChoice> choose_engine(EngineKind kind, const kvm::KvmVerdict& kvm);
Result<EngineChoice> choose_engine(EngineKind kind);  // by a look at this host

}  // namespace banyan
