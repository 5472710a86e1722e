// Strings of elements and of bits: the host's own instructions, where what they touch lies in pages
// that the TLB knows.
#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

using interp::Op;

namespace {

// REP uses them as they are.
static_assert(in_register(x86::kRax) && in_register(x86::kRcx) && in_register(x86::kRsi) &&
              in_register(x86::kRdi));

bool moves(const Instruction& i) {
    switch (i.zydis.mnemonic) {
        case ZYDIS_MNEMONIC_MOVSB:
        case ZYDIS_MNEMONIC_MOVSW:
        case ZYDIS_MNEMONIC_MOVSD:
        case ZYDIS_MNEMONIC_MOVSQ: return true;
        default: return false;
    }
}

bool stores(const Instruction& i) {
    switch (i.zydis.mnemonic) {
        case ZYDIS_MNEMONIC_STOSB:
        case ZYDIS_MNEMONIC_STOSW:
        case ZYDIS_MNEMONIC_STOSD:
        case ZYDIS_MNEMONIC_STOSQ: return true;
        default: return false;
    }
}

// The logarithm of the elements' size.
unsigned scale_of(const Instruction& i) {
    switch (i.zydis.mnemonic) {
        case ZYDIS_MNEMONIC_MOVSB:
        case ZYDIS_MNEMONIC_STOSB: return 0;
        case ZYDIS_MNEMONIC_MOVSW:
        case ZYDIS_MNEMONIC_STOSW: return 1;
        case ZYDIS_MNEMONIC_MOVSD:
        case ZYDIS_MNEMONIC_STOSD: return 2;
        default: return 3;
    }
}

x86a::Inst::Id host_instruction(ZydisMnemonic bit_test) {
    switch (bit_test) {
        case ZYDIS_MNEMONIC_BT: return x86a::Inst::kIdBt;
        case ZYDIS_MNEMONIC_BTS: return x86a::Inst::kIdBts;
        case ZYDIS_MNEMONIC_BTR: return x86a::Inst::kIdBtr;
        default: return x86a::Inst::kIdBtc;
    }
}

}  // namespace

bool is_native_string(const Instruction& i) {
    if (i.zydis.meta.category != ZYDIS_CATEGORY_STRINGOP || (!moves(i) && !stores(i))) return false;
    return i.op->has(Op::kRep) && !i.op->has(Op::kAddress32) && i.op->segment != x86::kFs &&
           i.op->segment != x86::kGs;
}

// RCX elements must end where the page does, or before. Uses T1.
void Emitter::run_in_page(x86::Gpr index, unsigned scale, bool write, const Label& slow) {
    using Layout = interp::Tlb::Layout;
    a_.mov(kT0, host_gpr(index));
    find_tlb_index(a_, stubs_.fast_pext);
    a_.sub(kT0, tlb_member(view_, write ? Layout::write_tags : Layout::read_tags));
    a_.cmp(kT0, static_cast<int32_t>(kPageSize) - 1);
    a_.ja(slow);
    a_.lea(kT0, x86a::ptr(kT0, x86a::rcx, scale));
    a_.cmp(kT0, static_cast<int32_t>(kPageSize));
    a_.ja(slow);
    a_.add(kT0, tlb_member(view_, Layout::pages));
    a_.mov(kT1, x86a::rcx);
    a_.shl(kT1, scale);
    a_.sub(kT0, kT1);
}

// Nothing can fault once both runs have been found. Upwards only, as the host's DF is always clear.
void Emitter::emit_string(const Instruction& instruction) {
    const unsigned scale = scale_of(instruction);
    const bool has_source = moves(instruction);
    const Label slow = new_label();
    const Label done = new_label();
    keep_flags(instruction);
    a_.test(state(kSystemFlagsAt, 4), x86::kDf);
    a_.jnz(slow);
    a_.cmp(x86a::rcx, static_cast<int32_t>(kPageSize >> scale));
    a_.ja(slow);
    if (has_source) {
        run_in_page(x86::kRsi, scale, false, slow);
        a_.mov(state(kScratchAt), kT0);
    }
    run_in_page(x86::kRdi, scale, true, slow);
    a_.lea(x86a::rdi, x86a::ptr(x86a::rdi, x86a::rcx, scale));
    if (has_source) {
        a_.lea(kT1, x86a::ptr(x86a::rsi, x86a::rcx, scale));
        a_.mov(x86a::rsi, state(kScratchAt));
    }
    a_.xchg(x86a::rdi, kT0);
    if (scale == 1) a_.db(0x66);
    a_.db(0xF3);
    if (scale == 3) a_.db(0x48);
    a_.db(instruction.zydis.opcode);
    a_.mov(x86a::rdi, kT0);
    if (has_source) a_.mov(x86a::rsi, kT1);
    slow_way(instruction, slow, done);
    join(instruction, done);
}

// BT, BTS, BTR, BTC: the register counts bits from the operand's address on, both ways (Intel SDM
// vol. 2 "BT"). The word that the bit is in is found first; the host's instruction counts from
// where the operand would be on the host, and comes to that word.
void Emitter::emit_bit_string(const Instruction& instruction) {
    const bool wide = instruction.zydis.operand_width == 64;
    const unsigned size = wide ? 8 : 4;
    const unsigned number = instruction.op->destination / 8U;
    const Label slow = new_label();
    const Label done = new_label();
    // How far the word is, in bytes, to T1.
    const auto load_distance = [&] {
        const x86a::Gp from = read_gpr(number, kT1);
        if (wide) {
            if (from != kT1) a_.mov(kT1, from);
        } else {
            a_.movsxd(kT1, from.r32());
        }
        a_.sar(kT1, wide ? 6 : 5);
        a_.shl(kT1, wide ? 3 : 2);
    };
    keep_flags(instruction);
    load_address(instruction, instruction.op->displacement);
    load_distance();
    a_.add(kT0, kT1);
    check(size, instruction.writes_memory, false, slow);
    load_distance();
    a_.sub(kT0, kT1);
    bring_flags(instruction);
    const x86a::Gp bit = read_gpr(number, kT1);
    if (instruction.op->has(Op::kLock)) a_.lock();
    a_.emit(host_instruction(instruction.zydis.mnemonic), x86a::ptr(kT0, 0, size),
            wide ? asmjit::Operand(bit) : asmjit::Operand(bit.r32()));
    note_changed_flags(instruction);
    slow_way(instruction, slow, done);
    join(instruction, done);
}

}  // namespace banyan::jit
