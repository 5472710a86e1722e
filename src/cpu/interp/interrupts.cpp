// deliver(): exceptions and interrupts through the real-mode table and the IDT. Source: Intel SDM
// vol. 3 chapter 6, vol. 2 "INT n", vol. 3 section 21.1.4 (real mode); AMD APM vol. 2 chapter 8.
#include "cpu/interp/interrupts.hpp"

#include "cpu/interp/debug.hpp"
#include "cpu/interp/far_transfer.hpp"
#include "cpu/interp/stack_frame.hpp"
#include "cpu/interp/system.hpp"
#include "cpu/interp/task_switch.hpp"

namespace banyan::interp {

namespace {

struct IdtGate {
    uint16_t selector = 0;
    uint64_t offset = 0;
    unsigned width = 4;      // bytes of what is pushed
    bool interrupt = false;  // clears IF
    uint8_t ist = 0;
};

// An event on its way.
struct Delivery {
    const Op* op;
    const Interruption& event;
    Loading by;
    uint64_t flags;  // as pushed
    IdtGate gate{};
    x86::SegmentRegister cs{};
};

uint64_t pushed_flags(const Cpu& cpu, const Interruption& event) {
    const uint64_t flags = cpu.rflags();
    if (!event.external) return flags & ~uint64_t{x86::kRf};
    return is_fault(event.vector) ? flags | x86::kRf : flags;
}

// The error code of faults that concern the gate itself.
bool gate_fault(Cpu& cpu, const Delivery& d, x86::Vector vector) {
    return cpu.raise(d.op, vector, d.event.vector * 8U + 2 + d.by.external);
}

bool deliver_real(Cpu& cpu, const Delivery& d) {
    const uint32_t offset = d.event.vector * 4U;
    if (offset + 3 > cpu.idtr.limit) return cpu.raise(d.op, x86::Vector::gp, offset * 2 + 2);
    uint32_t entry;
    if (!cpu.read_system(d.op, cpu.idtr.base + offset, entry)) return false;
    StackFrame frame(Stack::current(cpu), 2);
    frame.push(cpu.rflags());
    frame.push(cpu.seg[x86::kCs].selector);
    frame.push(cpu.rip);
    if (!frame.write(cpu, d.by, 0)) return false;
    cpu.commit_rsp(frame.sp());
    cpu.system_flags &= ~static_cast<uint32_t>(x86::kIf | x86::kTf | x86::kAc | x86::kRf);
    enter_code(cpu, real_segment(cpu, x86::kCs, static_cast<uint16_t>(entry >> 16)), entry & 0xFFFF,
               cpu.cpl);
    return true;
}

bool read_gate(Cpu& cpu, Delivery& d, DescriptorEntry& entry) {
    const unsigned size = cpu.long_mode() ? 16 : 8;
    const uint32_t offset = d.event.vector * size;
    if (offset + size - 1 > cpu.idtr.limit) return gate_fault(cpu, d, x86::Vector::gp);
    entry.linear = cpu.idtr.base + offset;
    if (!cpu.read_system(d.op, entry.linear, entry.low.raw)) return false;
    if (cpu.long_mode() && !cpu.read_system(d.op, entry.linear + 8, entry.high)) return false;
    return true;
}

bool check_gate(Cpu& cpu, const Delivery& d, const DescriptorEntry& entry) {
    const x86::SystemType type = entry.low.system_type();
    const bool wide = type == x86::SystemType::interrupt_gate || type == x86::SystemType::trap_gate;
    const bool legacy = type == x86::SystemType::interrupt_gate16 ||
                        type == x86::SystemType::trap_gate16 || type == x86::SystemType::task_gate;
    if (!entry.is_system() || (!wide && (!legacy || cpu.long_mode())))
        return gate_fault(cpu, d, x86::Vector::gp);
    if (!d.event.external && entry.dpl() < cpu.cpl) return gate_fault(cpu, d, x86::Vector::gp);
    return entry.present() || gate_fault(cpu, d, x86::Vector::np);
}

IdtGate parse_gate(const Cpu& cpu, const DescriptorEntry& entry) {
    const auto type = static_cast<unsigned>(entry.low.system_type());
    IdtGate gate;
    gate.selector = entry.low.gate_selector();
    gate.interrupt = (type & 1U) == 0;
    if (cpu.long_mode()) {
        gate.width = 8;
        gate.offset = entry.low.gate_offset() | (entry.high << 32);
        gate.ist = entry.low.gate_ist();
    } else {
        gate.width = (type & 8U) != 0 ? 4 : 2;
        gate.offset = gate.width == 4 ? entry.low.gate_offset() : entry.low.raw & 0xFFFF;
    }
    return gate;
}

// The handler's code segment; d.cs.rpl() is the new CPL.
bool prepare_handler(Cpu& cpu, Delivery& d) {
    const uint16_t selector = d.gate.selector;
    if (is_null(selector)) return cpu.raise_gp(d.op, d.by.external);
    DescriptorEntry entry;
    if (!read_descriptor(cpu, d.by, selector, entry)) return false;
    if (!entry.is_code() || entry.dpl() > cpu.cpl) return d.by.fail(cpu, selector);
    if (cpu.long_mode() && !entry.attributes().get<x86::Attributes::Long>())
        return d.by.fail(cpu, selector);
    const uint8_t cpl = entry.is_conforming() ? cpu.cpl : entry.dpl();
    if (cpu.vm86() && cpl != 0) return d.by.fail(cpu, selector);
    return prepare_code_segment(cpu, d.by, selector, cpl, entry, d.cs);
}

// RSP of a 64-bit handler: Intel SDM vol. 3 sections 6.14.2 to 6.14.5.
bool long_stack(Cpu& cpu, const Delivery& d, Stack& stack) {
    const uint8_t cpl = d.cs.rpl();
    if (d.gate.ist != 0) {
        const uint32_t offset = 28U + d.gate.ist * 8U;
        if (offset + 7 > cpu.tr.limit) return d.by.fail(cpu, x86::Vector::ts, cpu.tr.selector);
        uint64_t sp;
        if (!cpu.read_system(d.op, cpu.tr.base + offset, sp)) return false;
        stack = Stack::flat64(cpu, sp, cpl);
        stack.ss = cpl < cpu.cpl ? x86::SegmentRegister{.selector = cpl} : cpu.seg[x86::kSs];
    } else if (cpl < cpu.cpl) {
        if (!read_inner_stack(cpu, d.by, cpl, stack)) return false;
    } else {
        stack = Stack::flat64(cpu, cpu.gpr[x86::kRsp], cpl);
        stack.ss = cpu.seg[x86::kSs];
    }
    stack.sp &= ~uint64_t{15};
    return true;
}

bool choose_stack(Cpu& cpu, const Delivery& d, Stack& stack) {
    if (cpu.long_mode()) return long_stack(cpu, d, stack);
    if (d.cs.rpl() < cpu.cpl) return read_inner_stack(cpu, d.by, d.cs.rpl(), stack);
    stack = Stack::current(cpu);
    return true;
}

void fill_frame(const Cpu& cpu, const Delivery& d, StackFrame& frame) {
    if (cpu.vm86()) {
        for (const x86::Segment i : {x86::kGs, x86::kFs, x86::kDs, x86::kEs})
            frame.push(cpu.seg[i].selector);
    }
    if (cpu.long_mode() || d.cs.rpl() < cpu.cpl) {
        frame.push(cpu.seg[x86::kSs].selector);
        frame.push(cpu.gpr[x86::kRsp]);
    }
    frame.push(d.flags);
    frame.push(cpu.seg[x86::kCs].selector);
    frame.push(cpu.rip);
    if (d.event.has_error) frame.push(d.event.error);
}

void clear_flags(Cpu& cpu, bool interrupt_gate) {
    uint32_t cleared = x86::kTf | x86::kNt | x86::kRf | x86::kVm;
    if (interrupt_gate) cleared |= x86::kIf;
    cpu.system_flags &= ~cleared;
}

void drop_vm86_segments(Cpu& cpu) {
    for (const x86::Segment i : {x86::kGs, x86::kFs, x86::kDs, x86::kEs})
        cpu.seg[i] = {};
}

bool enter_handler(Cpu& cpu, const Delivery& d) {
    Stack stack;
    if (!choose_stack(cpu, d, stack)) return false;
    if (!check_target(cpu, d.by, d.cs, d.gate.offset)) return false;
    StackFrame frame(stack, d.gate.width);
    fill_frame(cpu, d, frame);
    const bool inner = d.cs.rpl() < cpu.cpl;
    if (!frame.write(cpu, d.by, inner ? stack.ss.selector : uint16_t{0})) return false;
    if (cpu.vm86()) drop_vm86_segments(cpu);
    if (inner) cpu.seg[x86::kSs] = stack.ss;
    clear_flags(cpu, d.gate.interrupt);
    enter_code(cpu, d.cs, d.gate.offset, d.cs.rpl());
    set_stack_pointer(cpu, frame.sp());
    return true;
}

bool enter_task(Cpu& cpu, const Delivery& d, const DescriptorEntry& gate) {
    return switch_task(cpu, {.op = d.op,
                             .source = TaskSource::interrupt,
                             .selector = gate.low.gate_selector(),
                             .return_rip = cpu.rip,
                             .return_flags = d.flags,
                             .external = d.by.external,
                             .has_error = d.event.has_error,
                             .error = d.event.error});
}

bool deliver_protected(Cpu& cpu, Delivery& d) {
    DescriptorEntry entry;
    if (!read_gate(cpu, d, entry) || !check_gate(cpu, d, entry)) return false;
    if (entry.low.system_type() == x86::SystemType::task_gate) return enter_task(cpu, d, entry);
    d.gate = parse_gate(cpu, entry);
    return prepare_handler(cpu, d) && enter_handler(cpu, d);
}

}  // namespace

bool deliver_event(Cpu& cpu, const Op* op, const Interruption& interruption) {
    const uint32_t external = interruption.external ? 1 : 0;
    Delivery d{.op = op,
               .event = interruption,
               .by = {.op = op, .external = external},
               .flags = pushed_flags(cpu, interruption)};
    cpu.activity = x86::Activity::running;
    const bool done = cpu.protected_mode() ? deliver_protected(cpu, d) : deliver_real(cpu, d);
    if (!done) return false;
    // A handler starts with TF clear, and the INT instruction that led here is not trapped any
    // more: Intel SDM vol. 3 section 18.3.1.4. GD is clear so that the debug handler can reach its
    // registers: section 18.2.4.
    cpu.debug = {};
    if (interruption.vector == static_cast<uint8_t>(x86::Vector::db) && interruption.external)
        cpu.dr7 &= ~kDr7Gd;
    return true;
}

bool deliver(Cpu& cpu, const Interruption& interruption) {
    return deliver_event(cpu, nullptr, interruption);
}

}  // namespace banyan::interp
