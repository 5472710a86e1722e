// The interpreter as an Engine.
#pragma once

#include <memory>
#include <string_view>

#include "vm/engine.hpp"

namespace banyan::interp {

// `cpu_model` as CpuModel::create() takes it.
Result<std::unique_ptr<Engine>> create_engine(const EngineConfig& config,
                                              std::string_view cpu_model);

}  // namespace banyan::interp
