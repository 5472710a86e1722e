// KVM as an Engine.
#pragma once

#include <memory>
#include <string_view>

#include "vm/engine.hpp"

namespace banyan::kvm {

// `cpu_model` as interp::CpuModel::create() takes it. Fails where /dev/kvm cannot be used (see
// kvm_probe.hpp for why), or lacks what this engine needs of it.
Result<std::unique_ptr<Engine>> create_engine(const EngineConfig& config,
                                              std::string_view cpu_model);

}  // namespace banyan::kvm
