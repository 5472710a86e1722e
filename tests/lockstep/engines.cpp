#include "lockstep/engines.hpp"

#include "cpu/interp/interp_engine.hpp"
#include "cpu/jit/jit_engine.hpp"
#include "lockstep/stepped_engine.hpp"

namespace banyan::lockstep {

namespace {

Result<std::unique_ptr<Engine>> create_soft_engine(const EngineConfig& config,
                                                   std::string_view cpu_model) {
    return jit::create_engine(config, cpu_model, {.undefined_flags = jit::UndefinedFlags::exact});
}

// Translates everything before it runs for the first time.
Result<std::unique_ptr<Engine>> create_eager_engine(const EngineConfig& config,
                                                    std::string_view cpu_model) {
    return jit::create_engine(config, cpu_model,
                              {.hot = 0, .undefined_flags = jit::UndefinedFlags::exact});
}

// Regions of many blocks, translated again and again, and few groups of accesses that last.
Result<std::unique_ptr<Engine>> create_wide_engine(const EngineConfig& config,
                                                   std::string_view cpu_model) {
    return jit::create_engine(config, cpu_model,
                              {.hot = 4,
                               .undefined_flags = jit::UndefinedFlags::exact,
                               .max_scattered = 1,
                               .wide_regions = true});
}

// A new engine is one more line, and its library in CMakeLists.txt.
constexpr EngineEntry kEngines[] = {
    {"interp", interp::create_engine},
    {"interp-stepped", create_stepped_engine},
    {"soft", create_soft_engine},
    {"soft-at-once", create_eager_engine},
    {"soft-wide", create_wide_engine},
};

}  // namespace

std::span<const EngineEntry> engines() {
    return kEngines;
}

const EngineEntry* find_engine(std::string_view name) {
    for (const EngineEntry& entry : kEngines) {
        if (entry.name == name) return &entry;
    }
    return nullptr;
}

}  // namespace banyan::lockstep
