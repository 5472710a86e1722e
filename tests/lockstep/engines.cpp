#include "lockstep/engines.hpp"

#include "cpu/interp/interp_engine.hpp"
#include "lockstep/stepped_engine.hpp"

namespace banyan::lockstep {

namespace {

// A new engine is one more line, and its library in CMakeLists.txt.
constexpr EngineEntry kEngines[] = {
    {"interp", interp::create_engine},
    {"interp-stepped", create_stepped_engine},
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
