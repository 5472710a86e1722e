// How the mode follows from the segment registers, and loading one of them.
#pragma once

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

inline bool is_flat(const x86::SegmentRegister& s) {
    return s.base == 0 && s.limit == 0xFFFFFFFF && s.usable() &&
           !s.attributes.get<x86::Attributes::ExpandDown>();
}

inline bool is_flat_data(const x86::SegmentRegister& s) {
    return is_flat(s) && s.attributes.get<x86::Attributes::Writable>() &&
           !s.attributes.get<x86::Attributes::Code>();
}

// Code may be conforming, which is the bit that means expand-down for data.
inline bool is_flat_code(const x86::SegmentRegister& s) {
    return s.base == 0 && s.limit == 0xFFFFFFFF;
}

// Whether the mode stays what it is when `segment` holds `next` instead of `now`. 64-bit code looks
// at no segment but CS.
inline bool keeps_mode(const Cpu& cpu, x86::Segment segment, const x86::SegmentRegister& now,
                       const x86::SegmentRegister& next) {
    if (segment == x86::kFs || segment == x86::kGs) return true;
    const bool same_size =
        now.attributes.get<x86::Attributes::Big>() == next.attributes.get<x86::Attributes::Big>();
    if (segment == x86::kCs) {
        const bool same_length = now.attributes.get<x86::Attributes::Long>() ==
                                 next.attributes.get<x86::Attributes::Long>();
        return same_size && same_length && is_flat_code(now) == is_flat_code(next);
    }
    if (cpu.code64()) return true;
    return (same_size || segment != x86::kSs) && is_flat_data(now) == is_flat_data(next);
}

// Loads a segment register when nothing else has changed: mostly the mode stays as it is, and this
// is much cheaper than Cpu::mode_changed().
inline void set_segment(Cpu& cpu, x86::Segment segment, const x86::SegmentRegister& value) {
    x86::SegmentRegister& reg = cpu.seg[segment];
    if (reg == value) return;
    const bool same_mode = keeps_mode(cpu, segment, reg, value);
    const bool same_place = reg.base == value.base && reg.limit == value.limit;
    reg = value;
    if (!same_mode) return cpu.mode_changed();
    if (same_place || (cpu.code64() && segment != x86::kFs && segment != x86::kGs)) return;
    cpu.base[segment] = value.base;
    if (segment == x86::kCs) cpu.context_changed();
}

}  // namespace banyan::interp
