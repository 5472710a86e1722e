// How native handlers reach their memory operand.
#pragma once

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

// The linear address of op's memory operand, after the checks of its segment.
inline bool operand_linear(Cpu& cpu, const Op* op, unsigned size, Access access, uint64_t& linear,
                           uint64_t displaced = 0) {
    const uint64_t offset = cpu.effective_address(op, displaced);
    if ((op->bits & (Op::kCheckSegment | Op::kCheckAlignment)) != 0) [[unlikely]] {
        return cpu.segment_address(op, static_cast<x86::Segment>(op->segment), offset, size, access,
                                   linear);
    }
    linear = offset + cpu.base[op->segment];
    return true;
}

// The host address of `size` bytes at `linear`, if the TLB has it.
inline std::byte* host_address(Cpu& cpu, uint64_t linear, unsigned size, Access access) {
    return access == Access::write ? cpu.tlb->writable(linear, size)
                                   : cpu.tlb->readable(linear, size);
}

// An area whose start must be aligned, else #GP(0), of any size up to a page: for state images.
inline bool aligned_area(Cpu& cpu, const Op* op, unsigned size, unsigned alignment, Access access,
                         uint64_t& linear) {
    if (!operand_linear(cpu, op, size, access, linear)) return false;
    return (linear & (alignment - 1)) == 0 || cpu.raise_gp(op);
}

}  // namespace banyan::interp
