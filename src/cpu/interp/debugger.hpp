// Debugger: what somebody outside of the guest has asked one vCPU for (vm/debug.hpp).
//
// While it steps or watches data, instructions run one by one (Mode::kOneInstruction), and the run
// loop asks before and after each. An INT3 of its own costs nothing until it is met, and neither
// does a point on execution: the instruction there is decoded as one that stops (Op::kMarked).
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/interp/tlb.hpp"
#include "vm/debug.hpp"

namespace banyan::interp {

class Debugger {
public:
    void set(const DebugRequest& request);
    const std::vector<DebugPoint>& points() const { return request_.points; }

    bool steps() const { return request_.single_step; }
    bool one_by_one() const { return one_by_one_; }
    bool owns_breakpoint(uint64_t linear) const { return request_.owns_breakpoint(linear); }

    // Have the points on execution changed since code was decoded? Asked before the vCPU runs.
    bool take_new_marks();
    // The point that stops before the instruction at `linear`, or null.
    const DebugPoint* execution_point(uint64_t linear) const;
    // Around an instruction, and for each of its data accesses that the TLB did not serve.
    void begin_instruction() { hit_.reset(); }
    void note_access(uint64_t linear, unsigned size, Access access);
    std::optional<DebugStop> end_instruction() const;

    // Is any data of the range watched? Its page must have no TLB tag.
    bool watches(uint64_t linear, uint64_t size) const;

private:
    DebugRequest request_;
    bool one_by_one_ = false;
    std::vector<DebugPoint> marked_;  // in decoded code
    std::optional<DebugPoint> hit_;   // by the instruction that runs
};

}  // namespace banyan::interp
