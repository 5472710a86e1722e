#include "cpu/interp/stack_frame.hpp"

#include "cpu/interp/system.hpp"

namespace banyan::interp {

bool StackFrame::in_limits(uint64_t offset, unsigned size) const {
    if (stack_.mask == ~uint64_t{0}) return is_canonical(offset) && is_canonical(offset + size - 1);
    const x86::SegmentRegister& ss = stack_.ss;
    if (!ss.usable() || !ss.attributes.get<x86::Attributes::Writable>()) return false;
    const uint64_t last = offset + size - 1;
    if (ss.attributes.get<x86::Attributes::ExpandDown>())
        return offset > ss.limit && last <= stack_.mask;
    return last <= ss.limit;
}

bool StackFrame::write_range(Cpu& cpu, const Loading& by, unsigned first, unsigned count) const {
    const uint64_t offset = (stack_.sp - uint64_t{first + count} * width_) & stack_.mask;
    uint64_t linear = stack_.ss.base + offset;
    if (stack_.mask != ~uint64_t{0}) linear &= 0xFFFFFFFF;
    return cpu.write_slow(by.op, linear, bytes_.data() + start_of(first + count), count * width_,
                          stack_.view);
}

bool StackFrame::write(Cpu& cpu, const Loading& by, uint16_t selector) const {
    const bool wraps =
        ((stack_.sp - 1) & stack_.mask) < sp() || stack_.sp + stack_.ss.base > 0xFFFFFFFF;
    if (stack_.mask == ~uint64_t{0} || !wraps) {
        if (!in_limits(sp(), count_ * width_)) return by.fail(cpu, x86::Vector::ss, selector);
        return write_range(cpu, by, 0, count_);
    }
    for (unsigned i = 0; i < count_; ++i) {
        const uint64_t offset = (stack_.sp - uint64_t{i + 1} * width_) & stack_.mask;
        if (!in_limits(offset, width_)) return by.fail(cpu, x86::Vector::ss, selector);
    }
    for (unsigned i = 0; i < count_; ++i) {
        if (!write_range(cpu, by, i, 1)) return false;
    }
    return true;
}

namespace {

struct StackPointer {
    uint16_t selector = 0;
    uint64_t sp = 0;
};

// The fields of the TSS: Intel SDM vol. 3 figures 7-2 (32 bits), 7-10 (16 bits), 7-11 (64 bits).
bool read_tss_stack(Cpu& cpu, const Loading& by, uint8_t cpl, StackPointer& pointer) {
    const x86::SegmentRegister& tr = cpu.tr;
    const bool wide = (tr.attributes.get<x86::Attributes::Type>() & 8U) != 0;
    const uint32_t offset = wide ? cpl * 8U + 4 : cpl * 4U + 2;
    const uint32_t size = cpu.long_mode() || wide ? 8 : 4;
    if (offset + size - 1 > tr.limit) return by.fail(cpu, x86::Vector::ts, tr.selector);
    const uint64_t at = tr.base + offset;
    if (cpu.long_mode()) return cpu.read_system(by.op, at, pointer.sp);
    if (wide) {
        uint32_t esp;
        if (!cpu.read_system(by.op, at, esp) || !cpu.read_system(by.op, at + 4, pointer.selector))
            return false;
        pointer.sp = esp;
        return true;
    }
    uint16_t sp;
    if (!cpu.read_system(by.op, at, sp) || !cpu.read_system(by.op, at + 2, pointer.selector))
        return false;
    pointer.sp = sp;
    return true;
}

}  // namespace

bool read_inner_stack(Cpu& cpu, const Loading& by, uint8_t cpl, Stack& stack) {
    StackPointer pointer;
    if (!read_tss_stack(cpu, by, cpl, pointer)) return false;
    if (cpu.long_mode()) {
        stack = Stack::flat64(cpu, pointer.sp, cpl);
        stack.ss = null_stack(cpl, cpl);
        return true;
    }
    const Loading by_ts = by.with(x86::Vector::ts);
    if (is_null(pointer.selector)) return by_ts.fail(cpu, pointer.selector);
    x86::SegmentRegister ss;
    if (!prepare_stack_segment(cpu, by_ts, pointer.selector, cpl, ss)) return false;
    stack = Stack::in_segment(cpu, ss, pointer.sp, cpl);
    return true;
}

}  // namespace banyan::interp
