// What a debugger outside of the guest asks of a vCPU, and what it is told. The guest's own debug
// registers and its TF have no part in it, and it sees nothing of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace banyan {

enum class DebugAccess : uint8_t { execute, write, access };

// A place that is watched without a change of the guest's memory: like a debug register (Intel SDM
// vol. 3 section 18.2), and no more can be had than there are of those.
struct DebugPoint {
    DebugAccess kind = DebugAccess::execute;
    uint64_t address = 0;  // linear, a multiple of `length`
    uint8_t length = 1;    // bytes: 1, 2, 4 or 8; 1 for `execute`

    friend bool operator==(const DebugPoint&, const DebugPoint&) = default;
};

struct DebugRequest {
    static constexpr size_t kMaxPoints = 4;

    // Leave after one instruction. Interrupts are held back until it is over, but for a vCPU that
    // is halted: that one goes on with its interrupt, and leaves before its handler's first
    // instruction. So it is with an exception that the instruction raises.
    bool single_step = false;
    // Linear addresses, in order, at which an INT3 in the guest's memory is the debugger's own. Any
    // other INT3 is the guest's.
    std::vector<uint64_t> breakpoints = {};
    std::vector<DebugPoint> points = {};  // at most kMaxPoints

    bool empty() const { return !single_step && breakpoints.empty() && points.empty(); }
    bool owns_breakpoint(uint64_t linear) const {
        return std::binary_search(breakpoints.begin(), breakpoints.end(), linear);
    }
    bool has_points() const { return !points.empty(); }
};

enum class DebugEvent : uint8_t {
    step,        // one instruction is done
    breakpoint,  // before an INT3 that is the debugger's own
    point,       // before an instruction at a point, or after one that touched it
};

struct DebugStop {
    DebugEvent event = DebugEvent::step;
    DebugPoint point = {};  // which one

    // Will the same stop come again if the vCPU goes on and nothing was changed?
    bool before_instruction() const {
        return event == DebugEvent::breakpoint ||
               (event == DebugEvent::point && point.kind == DebugAccess::execute);
    }
};

}  // namespace banyan
