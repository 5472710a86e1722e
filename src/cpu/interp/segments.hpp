// Descriptors and segment registers: lookup, checks, loading. Source: Intel SDM vol. 3 chapters 3
// and 5.
//
// The prepare_* functions check and read, and give the register's new contents; whoever calls them
// stores it when nothing can fault any more, by set_segment(), or, with other changes, in
// Cpu::seg before Cpu::mode_changed().
#pragma once

#include "cpu/interp/system.hpp"

namespace banyan::interp {

constexpr bool is_null(uint16_t selector) {
    return (selector & 0xFFFCU) == 0;
}

// On whose behalf descriptors are read: decides the exception that a bad one raises.
struct Loading {
    const Op* op = nullptr;
    x86::Vector wrong =
        x86::Vector::gp;  // for a selector that is not good: #GP, or #TS in task and stack switches
    uint32_t external = 0;  // EXT of error codes: while an external event is delivered

    bool fail(Cpu& cpu, uint16_t selector) const { return fail(cpu, wrong, selector); }
    bool fail(Cpu& cpu, x86::Vector vector, uint16_t selector) const {
        return cpu.raise(op, vector, (selector & 0xFFFCU) | external);
    }
    Loading with(x86::Vector vector) const { return {op, vector, external}; }
};

struct DescriptorEntry {
    uint64_t linear = 0;  // where it stands in its table
    x86::Descriptor low{};
    uint64_t high = 0;  // the second half of system descriptors in long mode

    x86::Attributes attributes() const { return low.attributes(); }
    bool present() const { return attributes().get<x86::Attributes::Present>(); }
    uint8_t dpl() const { return attributes().get<x86::Attributes::Dpl>(); }
    bool is_system() const { return !attributes().get<x86::Attributes::CodeOrData>(); }
    bool is_code() const { return !is_system() && attributes().get<x86::Attributes::Code>(); }
    bool is_conforming() const {
        return is_code() && attributes().get<x86::Attributes::ExpandDown>();
    }
    bool is_writable_data() const {
        return !is_system() && !attributes().get<x86::Attributes::Code>() &&
               attributes().get<x86::Attributes::Writable>();
    }
    bool is_readable() const {
        return !is_system() && (!attributes().get<x86::Attributes::Code>() ||
                                attributes().get<x86::Attributes::Writable>());
    }
    uint64_t base() const { return low.base() | (high << 32); }
};

// The linear address of a selector's descriptor. False: null, or outside its table.
[[nodiscard]] inline bool locate_descriptor(const Cpu& cpu, uint16_t selector, unsigned size,
                                            uint64_t& linear) {
    const bool local = (selector & 4U) != 0;
    const uint32_t offset = selector & 0xFFF8U;
    if (local) {
        if (!cpu.ldtr.usable() || offset + size - 1 > cpu.ldtr.limit) return false;
        linear = cpu.ldtr.base + offset;
        return true;
    }
    if (is_null(selector) || offset + size - 1 > cpu.gdtr.limit) return false;
    linear = cpu.gdtr.base + offset;
    return true;
}
// Reads the descriptor of a code or data segment. False: a fault is pending.
[[nodiscard]] inline bool read_descriptor(Cpu& cpu, const Loading& by, uint16_t selector,
                                          DescriptorEntry& entry) {
    if (!locate_descriptor(cpu, selector, 8, entry.linear)) return by.fail(cpu, selector);
    entry.high = 0;
    return cpu.read_system(by.op, entry.linear, entry.low.raw);
}
// Reads the second half of a system descriptor, in long mode; does nothing otherwise.
[[nodiscard]] bool read_high_half(Cpu& cpu, const Loading& by, uint16_t selector,
                                  DescriptorEntry& entry);
// Sets the accessed bit in the table, atomically, and in `entry`; mark_accessed() only if it is not
// set.
[[nodiscard]] bool set_accessed(Cpu& cpu, const Op* op, DescriptorEntry& entry);
[[nodiscard]] inline bool mark_accessed(Cpu& cpu, const Op* op, DescriptorEntry& entry) {
    return entry.attributes().get<x86::Attributes::Accessed>() || set_accessed(cpu, op, entry);
}
// Sets or clears the busy bit of a TSS descriptor.
[[nodiscard]] bool mark_busy(Cpu& cpu, const Op* op, uint64_t linear, bool busy);

// ES, DS, FS, GS in protected mode. A null selector is accepted.
[[nodiscard]] bool prepare_data_segment(Cpu& cpu, const Loading& by, uint16_t selector, uint8_t cpl,
                                        x86::SegmentRegister& out);
// SS for code of privilege `cpl`. Null selectors are the caller's business.
[[nodiscard]] bool prepare_stack_segment(Cpu& cpu, const Loading& by, uint16_t selector,
                                         uint8_t cpl, x86::SegmentRegister& out);
// CS from a descriptor whose privilege has been checked: present, and in long mode not both 64-bit
// and 32-bit.
[[nodiscard]] inline bool prepare_code_segment(Cpu& cpu, const Loading& by, uint16_t selector,
                                               uint8_t cpl, DescriptorEntry& entry,
                                               x86::SegmentRegister& out) {
    if (!entry.present()) return by.fail(cpu, x86::Vector::np, selector);
    const x86::Attributes attributes = entry.attributes();
    if (cpu.long_mode() && attributes.get<x86::Attributes::Long>() &&
        attributes.get<x86::Attributes::Big>()) {
        return by.fail(cpu, selector);
    }
    if (!mark_accessed(cpu, by.op, entry)) return false;
    out = entry.low.to_register(static_cast<uint16_t>((selector & 0xFFFCU) | cpl));
    return true;
}
// LDTR in protected mode.
[[nodiscard]] bool prepare_ldt(Cpu& cpu, const Loading& by, uint16_t selector,
                               x86::SegmentRegister& out);

// A null SS, as 64-bit code below CPL 3 may have it. DPL is the CPL all the same, as saved states
// want it.
inline x86::SegmentRegister null_stack(uint16_t selector, uint8_t cpl) {
    return {selector, {static_cast<uint16_t>(cpl << 5)}, 0, 0};
}

// What a load in real or virtual-8086 mode makes of a segment register.
x86::SegmentRegister real_segment(const Cpu& cpu, x86::Segment segment, uint16_t selector);

// MOV, POP and far pointer loads of ES, SS, DS, FS or GS in any mode: checks and loads.
[[nodiscard]] bool load_segment(Cpu& cpu, const Op* op, x86::Segment segment, uint16_t selector);

// Whether code segment `cs` is 64-bit code in this CPU's mode.
inline bool is_code64(const Cpu& cpu, const x86::SegmentRegister& cs) {
    return cpu.long_mode() && cs.attributes.get<x86::Attributes::Long>();
}

// May `rip` be executed in `cs`? Limits, or canonical addresses for 64-bit code. False: #GP(0)
// (with EXT) is pending.
[[nodiscard]] inline bool check_target(Cpu& cpu, const Loading& by, const x86::SegmentRegister& cs,
                                       uint64_t rip) {
    const bool good = is_code64(cpu, cs) ? is_canonical(rip) : rip <= cs.limit;
    return good || cpu.raise(by.op, x86::Vector::gp, by.external);
}

// For the lifetime of this object, Cpu::read_linear and the like access memory as `view`.
class ScopedView {
public:
    ScopedView(Cpu& cpu, View view) : cpu_(cpu), tlb_(cpu.tlb), view_(cpu.view) {
        cpu.view = view;
        cpu.tlb = &cpu.tlbs[static_cast<unsigned>(view)];
    }
    ~ScopedView() {
        cpu_.view = view_;
        cpu_.tlb = tlb_;
    }
    ScopedView(const ScopedView&) = delete;
    ScopedView& operator=(const ScopedView&) = delete;

private:
    Cpu& cpu_;
    Tlb* tlb_;
    View view_;
};

// How code of privilege `cpl` accesses memory.
inline View view_of(const Cpu& cpu, uint8_t cpl) {
    if (cpl == 3) return View::user;
    return (cpu.cr4 & x86::kCr4Smap) != 0 && !cpu.flag(x86::kAc) ? View::supervisor_smap
                                                                 : View::supervisor;
}

}  // namespace banyan::interp
