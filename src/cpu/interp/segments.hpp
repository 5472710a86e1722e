// Descriptors and segment registers: lookup, checks, loading. Source: Intel SDM vol. 3 chapters 3
// and 5.
//
// The prepare_* functions check and read, and give the register's new contents; whoever calls them
// stores it when nothing can fault any more, and then calls Cpu::mode_changed().
#pragma once

#include "cpu/interp/cpu.hpp"

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
[[nodiscard]] bool locate_descriptor(const Cpu& cpu, uint16_t selector, unsigned size,
                                     uint64_t& linear);
// Reads the descriptor of a code or data segment. False: a fault is pending.
[[nodiscard]] bool read_descriptor(Cpu& cpu, const Loading& by, uint16_t selector,
                                   DescriptorEntry& entry);
// Reads the second half of a system descriptor, in long mode; does nothing otherwise.
[[nodiscard]] bool read_high_half(Cpu& cpu, const Loading& by, uint16_t selector,
                                  DescriptorEntry& entry);
// Sets the accessed bit in the table, atomically, if it is not set, and in `entry`.
[[nodiscard]] bool mark_accessed(Cpu& cpu, const Op* op, DescriptorEntry& entry);
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
[[nodiscard]] bool prepare_code_segment(Cpu& cpu, const Loading& by, uint16_t selector, uint8_t cpl,
                                        DescriptorEntry& entry, x86::SegmentRegister& out);
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

// MOV, POP and far pointer loads of ES, SS, DS, FS or GS in any mode: checks, loads, and calls
// mode_changed().
[[nodiscard]] bool load_segment(Cpu& cpu, const Op* op, x86::Segment segment, uint16_t selector);

// Whether code segment `cs` is 64-bit code in this CPU's mode.
inline bool is_code64(const Cpu& cpu, const x86::SegmentRegister& cs) {
    return cpu.long_mode() && cs.attributes.get<x86::Attributes::Long>();
}

// May `rip` be executed in `cs`? Limits, or canonical addresses for 64-bit code. False: #GP(0)
// (with EXT) is pending.
[[nodiscard]] bool check_target(Cpu& cpu, const Loading& by, const x86::SegmentRegister& cs,
                                uint64_t rip);

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
