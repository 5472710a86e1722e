// MOV, PUSH and POP of segment registers, LDS..LGS, and the FS and GS base instructions. Source:
// Intel SDM vol. 2.
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/segments.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

// The segment register: instructions that name one have no immediate.
x86::Segment segment_operand(const Op* op) {
    return static_cast<x86::Segment>(op->immediate);
}

// Interrupts, and debug traps of this instruction, wait until the next one has set ESP: Intel SDM
// vol. 3 section 6.8.3.
void shadow_stack_load(Cpu& cpu, x86::Segment segment) {
    if (segment != x86::kSs) return;
    cpu.shadow_next = true;
    cpu.debug.hold = true;
}

void op_load_register(Cpu& cpu, const Op* op) {
    const x86::Segment segment = segment_operand(op);
    if (!load_segment(cpu, op, segment, cpu.get<uint16_t>(op->destination))) return;
    shadow_stack_load(cpu, segment);
    cpu.finish(op);
}

void op_load_memory(Cpu& cpu, const Op* op) {
    const x86::Segment segment = segment_operand(op);
    uint16_t selector;
    if (!cpu.read(op, selector) || !load_segment(cpu, op, segment, selector)) return;
    shadow_stack_load(cpu, segment);
    cpu.finish(op);
}

template <class T>
void op_store_register(Cpu& cpu, const Op* op) {
    cpu.set<T>(op->destination, cpu.seg[segment_operand(op)].selector);
    NEXT(cpu, op);
}

void op_store_memory(Cpu& cpu, const Op* op) {
    if (!cpu.write(op, cpu.seg[segment_operand(op)].selector)) return;
    NEXT(cpu, op);
}

// Only the low 16 bits are written, whatever the width: Intel SDM vol. 2 "PUSH".
void op_push_segment(Cpu& cpu, const Op* op) {
    const uint64_t sp = (cpu.stack_pointer() - op->operand_size) & cpu.stack_mask;
    const uint64_t selector = cpu.seg[segment_operand(op)].selector;
    const bool wide = op->operand_size == 8;
    const bool pushed = wide ? cpu.write_segment(op, x86::kSs, sp, selector)
                             : cpu.write_segment(op, x86::kSs, sp, static_cast<uint16_t>(selector));
    if (!pushed) return;
    cpu.commit_rsp(sp);
    NEXT(cpu, op);
}

void op_pop_segment(Cpu& cpu, const Op* op) {
    const x86::Segment segment = segment_operand(op);
    const uint64_t sp = cpu.stack_pointer();
    uint16_t selector;
    if (!cpu.read_segment(op, x86::kSs, sp, selector)) return;
    // The old stack's width counts.
    const uint64_t mask = cpu.stack_mask;
    if (!load_segment(cpu, op, segment, selector)) return;
    cpu.gpr[x86::kRsp] = (cpu.gpr[x86::kRsp] & ~mask) | ((sp + op->operand_size) & mask);
    shadow_stack_load(cpu, segment);
    cpu.finish(op);
}

// LDS, LES, LFS, LGS, LSS: an offset of T, then a selector.
template <class T>
void op_load_far_pointer(Cpu& cpu, const Op* op) {
    T offset;
    uint16_t selector;
    if (!cpu.read(op, offset) || !cpu.read(op, selector, sizeof(T))) return;
    if (!load_segment(cpu, op, segment_operand(op), selector)) return;
    cpu.set<T>(op->destination, offset);
    cpu.finish(op);
}

// QUIRK: AMD processors have no 64-bit form and ignore REX.W: AMD APM vol. 3 "LFS".
void op_load_far_pointer64(Cpu& cpu, const Op* op) {
    if (cpu.model.is_amd()) {
        op_load_far_pointer<uint32_t>(cpu, op);
    } else {
        op_load_far_pointer<uint64_t>(cpu, op);
    }
}

bool base_instructions_on(Cpu& cpu, const Op* op) {
    return (cpu.cr4 & x86::kCr4FsGsBase) != 0 || cpu.raise_ud(op);
}

template <class T, x86::Segment kSegment>
void op_read_base(Cpu& cpu, const Op* op) {
    if (!base_instructions_on(cpu, op)) return;
    cpu.set<T>(op->destination, static_cast<T>(cpu.seg[kSegment].base));
    NEXT(cpu, op);
}

template <class T, x86::Segment kSegment>
void op_write_base(Cpu& cpu, const Op* op) {
    if (!base_instructions_on(cpu, op)) return;
    const uint64_t value = cpu.get<T>(op->destination);
    if (!is_canonical(value)) {
        cpu.raise_gp(op);
        return;
    }
    cpu.seg[kSegment].base = value;
    cpu.base[kSegment] = value;
    NEXT(cpu, op);
}

void op_swapgs(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    std::swap(cpu.seg[x86::kGs].base, cpu.msr.kernel_gs_base);
    cpu.base[x86::kGs] = cpu.seg[x86::kGs].base;
    NEXT(cpu, op);
}

bool is_segment(const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

Handler select_segment_move(const Decoded& decoded, Op& op) {
    if (is_segment(decoded.operands[0])) {
        op.immediate = segment_of(decoded.operands[0].reg.value);
        op.bits |= Op::kEndsBlock;
        return op.has(Op::kHasMemory) ? op_load_memory : op_load_register;
    }
    if (!is_segment(decoded.operands[1])) return nullptr;
    op.immediate = segment_of(decoded.operands[1].reg.value);
    if (op.has(Op::kHasMemory)) return op_store_memory;
    switch (decoded.operands[0].size) {
        case 64: return op_store_register<uint64_t>;
        case 32: return op_store_register<uint32_t>;
        default: return op_store_register<uint16_t>;
    }
}

Handler select_far_pointer(const Decoded& decoded, Op& op, x86::Segment segment) {
    op.immediate = segment;
    op.bits |= Op::kEndsBlock;
    switch (decoded.operands[0].size) {
        case 64: return op_load_far_pointer64;
        case 32: return op_load_far_pointer<uint32_t>;
        default: return op_load_far_pointer<uint16_t>;
    }
}

template <x86::Segment kSegment>
Handler select_base(const Decoded& decoded, bool write) {
    if (decoded.operands[0].size == 64) {
        return write ? op_write_base<uint64_t, kSegment> : op_read_base<uint64_t, kSegment>;
    }
    return write ? op_write_base<uint32_t, kSegment> : op_read_base<uint32_t, kSegment>;
}

}  // namespace

Handler select_segments(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_MOV: return select_segment_move(decoded, op);
        case ZYDIS_MNEMONIC_PUSH:
            if (!is_segment(decoded.operands[0])) return nullptr;
            op.immediate = segment_of(decoded.operands[0].reg.value);
            return op_push_segment;
        case ZYDIS_MNEMONIC_POP:
            if (!is_segment(decoded.operands[0])) return nullptr;
            op.immediate = segment_of(decoded.operands[0].reg.value);
            op.bits |= Op::kEndsBlock;
            return op_pop_segment;
        case ZYDIS_MNEMONIC_LDS: return select_far_pointer(decoded, op, x86::kDs);
        case ZYDIS_MNEMONIC_LES: return select_far_pointer(decoded, op, x86::kEs);
        case ZYDIS_MNEMONIC_LFS: return select_far_pointer(decoded, op, x86::kFs);
        case ZYDIS_MNEMONIC_LGS: return select_far_pointer(decoded, op, x86::kGs);
        case ZYDIS_MNEMONIC_LSS: return select_far_pointer(decoded, op, x86::kSs);
        case ZYDIS_MNEMONIC_RDFSBASE: return select_base<x86::kFs>(decoded, false);
        case ZYDIS_MNEMONIC_RDGSBASE: return select_base<x86::kGs>(decoded, false);
        case ZYDIS_MNEMONIC_WRFSBASE: return select_base<x86::kFs>(decoded, true);
        case ZYDIS_MNEMONIC_WRGSBASE: return select_base<x86::kGs>(decoded, true);
        case ZYDIS_MNEMONIC_SWAPGS: return op_swapgs;
        default: return nullptr;
    }
}

}  // namespace banyan::interp
