// One program on two engines.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "lockstep/engines.hpp"
#include "lockstep/program.hpp"

namespace banyan::lockstep {

enum class Mode : uint8_t {
    exact,      // compared at each stop
    disturbed,  // the second engine is kicked and interrupted at random times; compared at the end
};

struct Comparison {
    bool equal = true;
    bool endless = false;  // neither engine came to an end
    std::string report;    // what differs
    std::string log;       // the first engine's exceptions
    uint64_t stops = 0;
    uint64_t exceptions = 0;
    uint64_t instructions = 0;  // of the first engine
};

struct RunOptions {
    Mode mode = Mode::exact;
    std::chrono::milliseconds time{10'000};  // for each engine and stop
    bool keep_log = false;                   // fill Comparison::log
    // A model without RDRAND for code that may contain it.
    std::string_view cpu_model = "max";
};

Comparison compare_engines(const EngineEntry& first, const EngineEntry& second,
                           const Program& program, const RunOptions& options = {});

}  // namespace banyan::lockstep
