// The engines that can be compared, by name.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "vm/engine.hpp"

namespace banyan::lockstep {

using EngineFactory = Result<std::unique_ptr<Engine>> (*)(const EngineConfig& config,
                                                          std::string_view cpu_model);

struct EngineEntry {
    std::string_view name;
    EngineFactory create;
};

// The first one is the oracle.
std::span<const EngineEntry> engines();
// Null: there is none of this name.
const EngineEntry* find_engine(std::string_view name);

}  // namespace banyan::lockstep
