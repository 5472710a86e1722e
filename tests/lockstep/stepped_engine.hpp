// The interpreter, one instruction at a time: without blocks, a second opinion about them. A data
// breakpoint that nothing ever meets makes it look at each instruction.
#pragma once

#include <memory>
#include <string_view>

#include "vm/engine.hpp"

namespace banyan::lockstep {

Result<std::unique_ptr<Engine>> create_stepped_engine(const EngineConfig& config,
                                                      std::string_view cpu_model);

}  // namespace banyan::lockstep
