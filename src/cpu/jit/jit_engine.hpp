// The soft engine: the interpreter with the JIT.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "cpu/jit/host_features.hpp"
#include "cpu/jit/instruction.hpp"
#include "vm/engine.hpp"

namespace banyan::jit {

struct JitOptions {
    uint32_t hot = 32;  // how often a block is interpreted before it is translated
    UndefinedFlags undefined_flags = UndefinedFlags::any;
    HostFeatures host = HostFeatures::of_this_host();
    size_t code_size = size_t{128} << 20;  // bytes of host code, of each virtual CPU
    // How often the accesses of a group may lie on two pages before each is checked by itself.
    uint32_t max_scattered = 64;
    // Regions take in blocks that have code of their own, too. Much more code of more shapes, of
    // use for tests.
    bool wide_regions = false;
};

// `cpu_model`: as for interp::create_engine().
Result<std::unique_ptr<Engine>> create_engine(const EngineConfig& config,
                                              std::string_view cpu_model,
                                              const JitOptions& options = {});

}  // namespace banyan::jit
