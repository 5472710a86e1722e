// RETF, and the checks it shares with IRET. Source: Intel SDM vol. 2 "RET" and "IRET", vol. 3
// section 5.8.6.
#include "cpu/interp/far_transfer.hpp"
#include "cpu/interp/stack_frame.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

void enter_code(Cpu& cpu, const x86::SegmentRegister& cs, uint64_t rip, uint8_t cpl) {
    cpu.seg[x86::kCs] = cs;
    cpu.cpl = cpl;
    cpu.rip = rip;
    cpu.mode_changed();
}

void set_stack_pointer(Cpu& cpu, uint64_t value) {
    uint64_t& rsp = cpu.gpr[x86::kRsp];
    rsp = cpu.stack_mask == 0xFFFF ? (rsp & 0xFFFF0000) | (value & 0xFFFF) : value & cpu.stack_mask;
}

bool peek(Cpu& cpu, const Op* op, unsigned index, unsigned width, uint64_t& value, unsigned skip) {
    const uint64_t offset = (cpu.stack_pointer() + uint64_t{index} * width + skip) & cpu.stack_mask;
    if (width == 8) return cpu.read_segment(op, x86::kSs, offset, value);
    if (width == 4) {
        uint32_t dword;
        if (!cpu.read_segment(op, x86::kSs, offset, dword)) return false;
        value = dword;
        return true;
    }
    uint16_t word;
    if (!cpu.read_segment(op, x86::kSs, offset, word)) return false;
    value = word;
    return true;
}

bool peek_top(Cpu& cpu, const Op* op, unsigned width, std::span<uint64_t> values) {
    const auto size = static_cast<unsigned>(values.size() * width);
    const uint64_t sp = cpu.stack_pointer();
    const bool wraps = sp > cpu.stack_mask - (size - 1);
    const std::byte* at = wraps ? nullptr : cpu.find_plain(x86::kSs, sp, size, Access::read);
    for (unsigned i = 0; i < values.size(); ++i) {
        if (at != nullptr) {
            values[i] = load_element(at + i * width, width);
        } else if (!peek(cpu, op, i, width, values[i])) {
            return false;
        }
    }
    return true;
}

bool prepare_return_code(Cpu& cpu, const Op* op, uint16_t selector, x86::SegmentRegister& cs) {
    const Loading by{.op = op};
    if (is_null(selector)) return cpu.raise_gp(op);
    DescriptorEntry entry;
    if (!read_descriptor(cpu, by, selector, entry)) return false;
    const uint8_t rpl = selector & 3U;
    if (!entry.is_code() || rpl < cpu.cpl) return by.fail(cpu, selector);
    const bool allowed = entry.is_conforming() ? entry.dpl() <= rpl : entry.dpl() == rpl;
    if (!allowed) return by.fail(cpu, selector);
    return prepare_code_segment(cpu, by, selector, rpl, entry, cs);
}

bool prepare_return_stack(Cpu& cpu, const Op* op, uint16_t selector, const x86::SegmentRegister& cs,
                          x86::SegmentRegister& ss) {
    if (!is_null(selector)) return prepare_stack_segment(cpu, {.op = op}, selector, cs.rpl(), ss);
    if (!is_code64(cpu, cs) || cs.rpl() == 3) return cpu.raise_gp(op);
    ss = null_stack(selector, cs.rpl());
    return true;
}

// Intel SDM vol. 3 section 5.8.6. In 64-bit mode too, so that a 32-bit caller gets none of the
// kernel's segments.
void drop_inner_segments(Cpu& cpu) {
    bool dropped = false;
    for (const x86::Segment segment : {x86::kEs, x86::kDs, x86::kFs, x86::kGs}) {
        x86::SegmentRegister& reg = cpu.seg[segment];
        const bool conforming = reg.attributes.get<x86::Attributes::Code>() &&
                                reg.attributes.get<x86::Attributes::ExpandDown>();
        if (!reg.usable() || reg.dpl() >= cpu.cpl || conforming) continue;
        reg = {0, {}, 0, 0};
        dropped = true;
    }
    if (dropped) cpu.mode_changed();
}

namespace {

void return_real(Cpu& cpu, const Op* op, uint64_t rip, uint16_t selector) {
    if (rip > cpu.seg[x86::kCs].limit) {
        cpu.raise_gp(op);
        return;
    }
    cpu.commit_rsp(cpu.stack_pointer() + 2U * op->operand_size + op->immediate);
    enter_segment(cpu, real_segment(cpu, x86::kCs, selector), rip);
}

void return_outer(Cpu& cpu, const Op* op, uint64_t rip, const x86::SegmentRegister& cs) {
    const unsigned width = op->operand_size;
    const auto released = static_cast<unsigned>(op->immediate);
    uint64_t sp;
    uint64_t selector;
    if (!peek(cpu, op, 2, width, sp, released) || !peek(cpu, op, 3, width, selector, released))
        return;
    x86::SegmentRegister ss;
    if (!prepare_return_stack(cpu, op, static_cast<uint16_t>(selector), cs, ss)) return;
    if (!check_target(cpu, {.op = op}, cs, rip)) return;
    cpu.seg[x86::kSs] = ss;
    enter_code(cpu, cs, rip, cs.rpl());
    set_stack_pointer(cpu, sp + released);
    drop_inner_segments(cpu);
}

void return_protected(Cpu& cpu, const Op* op, uint64_t rip, uint16_t selector) {
    x86::SegmentRegister cs;
    if (!prepare_return_code(cpu, op, selector, cs)) return;
    if (cs.rpl() > cpu.cpl) {
        return_outer(cpu, op, rip, cs);
        return;
    }
    if (!check_target(cpu, {.op = op}, cs, rip)) return;
    cpu.commit_rsp(cpu.stack_pointer() + 2U * op->operand_size + op->immediate);
    enter_segment(cpu, cs, rip);
}

// op->immediate: bytes of parameters to release.
void op_far_return(Cpu& cpu, const Op* op) {
    std::array<uint64_t, 2> top{};
    if (!peek_top(cpu, op, op->operand_size, top)) return;
    const uint64_t rip = top[0];
    const auto selector = static_cast<uint16_t>(top[1]);
    if (!cpu.protected_mode() || cpu.vm86()) {
        return_real(cpu, op, rip, selector);
    } else {
        return_protected(cpu, op, rip, selector);
    }
}

}  // namespace

Handler select_far_returns(const Decoded& decoded, Op& op) {
    if (decoded.instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) return nullptr;
    op.bits |= Op::kEndsBlock;
    op.immediate &= 0xFFFF;
    if (decoded.instruction.operand_count_visible == 0) op.immediate = 0;
    return op_far_return;
}

}  // namespace banyan::interp
