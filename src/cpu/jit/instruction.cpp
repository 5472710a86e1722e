#include "cpu/jit/instruction.hpp"

#include <algorithm>
#include <limits>

#include "cpu/interp/native_thunk.hpp"
#include "cpu/interp/zydis_decoder.hpp"
#include "cpu/interp/zydis_registers.hpp"
#include "cpu/jit/layout.hpp"

namespace banyan::jit {

using interp::Op;

namespace {

const ZydisDecoder& decoder() {
    static const ZydisDecoder instance = interp::make_decoder64();
    return instance;
}

// A count of zero leaves all flags as they are. Without operands: it may.
bool counts_in_cl(const ZydisDecodedInstruction& in, const ZydisDecodedOperand* operands) {
    switch (in.mnemonic) {
        case ZYDIS_MNEMONIC_SHL:
        case ZYDIS_MNEMONIC_SHR:
        case ZYDIS_MNEMONIC_SAR:
        case ZYDIS_MNEMONIC_ROL:
        case ZYDIS_MNEMONIC_ROR:
        case ZYDIS_MNEMONIC_RCL:
        case ZYDIS_MNEMONIC_RCR: break;
        case ZYDIS_MNEMONIC_SHLD:
        case ZYDIS_MNEMONIC_SHRD: return true;
        default: return false;
    }
    if (operands == nullptr) return true;
    const ZydisDecodedOperand& count = operands[1];
    return count.type == ZYDIS_OPERAND_TYPE_REGISTER || (count.imm.value.u & 0x1F) == 0;
}

// Instructions that look at all of RFLAGS, or hand it on.
bool shows_flags(const ZydisDecodedInstruction& in) {
    switch (in.meta.category) {
        case ZYDIS_CATEGORY_SYSCALL:
        case ZYDIS_CATEGORY_SYSRET:
        case ZYDIS_CATEGORY_INTERRUPT:
        case ZYDIS_CATEGORY_SYSTEM: return true;
        default: break;
    }
    switch (in.mnemonic) {
        case ZYDIS_MNEMONIC_PUSHF:
        case ZYDIS_MNEMONIC_PUSHFD:
        case ZYDIS_MNEMONIC_PUSHFQ:
        case ZYDIS_MNEMONIC_UD0:
        case ZYDIS_MNEMONIC_UD1:
        case ZYDIS_MNEMONIC_UD2: return true;
        default: return false;
    }
}

void find_flags(const ZydisDecodedInstruction& in, const ZydisDecodedOperand* operands,
                UndefinedFlags undefined, uint32_t& read, uint32_t& killed) {
    read = shows_flags(in) ? kAllFlags : 0;
    killed = 0;
    if (const ZydisAccessedFlags* f = in.cpu_flags) {
        read |= f->tested & kAllFlags;
        killed = (f->modified | f->set_0 | f->set_1) & kAllFlags;
        if (undefined == UndefinedFlags::any) killed |= f->undefined & kAllFlags;
    }
    // Some leave flags that Zydis calls undefined, others all of them under a condition.
    if (counts_in_cl(in, operands)) read |= killed;
    if ((in.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) !=
            0 &&
        in.meta.category == ZYDIS_CATEGORY_STRINGOP) {
        read |= killed;
    }
}

bool changes_any(const ZydisAccessedFlags& f) {
    return ((f.modified | f.set_0 | f.set_1 | f.undefined) & kAllFlags) != 0;
}

// Integer instructions that run on the host as they are. What is not here is interpreted.
bool is_plain(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_MOV:
        case ZYDIS_MNEMONIC_MOVZX:
        case ZYDIS_MNEMONIC_MOVSX:
        case ZYDIS_MNEMONIC_MOVSXD:
        case ZYDIS_MNEMONIC_ADD:
        case ZYDIS_MNEMONIC_SUB:
        case ZYDIS_MNEMONIC_ADC:
        case ZYDIS_MNEMONIC_SBB:
        case ZYDIS_MNEMONIC_AND:
        case ZYDIS_MNEMONIC_OR:
        case ZYDIS_MNEMONIC_XOR:
        case ZYDIS_MNEMONIC_CMP:
        case ZYDIS_MNEMONIC_TEST:
        case ZYDIS_MNEMONIC_INC:
        case ZYDIS_MNEMONIC_DEC:
        case ZYDIS_MNEMONIC_NEG:
        case ZYDIS_MNEMONIC_NOT:
        case ZYDIS_MNEMONIC_SHL:
        case ZYDIS_MNEMONIC_SHR:
        case ZYDIS_MNEMONIC_SAR:
        case ZYDIS_MNEMONIC_ROL:
        case ZYDIS_MNEMONIC_ROR:
        case ZYDIS_MNEMONIC_RCL:
        case ZYDIS_MNEMONIC_RCR:
        case ZYDIS_MNEMONIC_SHLD:
        case ZYDIS_MNEMONIC_SHRD:
        case ZYDIS_MNEMONIC_IMUL:
        case ZYDIS_MNEMONIC_MUL:
        case ZYDIS_MNEMONIC_BSWAP:
        case ZYDIS_MNEMONIC_BSF:
        case ZYDIS_MNEMONIC_BSR:
        case ZYDIS_MNEMONIC_BT:
        case ZYDIS_MNEMONIC_BTS:
        case ZYDIS_MNEMONIC_BTR:
        case ZYDIS_MNEMONIC_BTC:
        case ZYDIS_MNEMONIC_XCHG:
        case ZYDIS_MNEMONIC_XADD:
        case ZYDIS_MNEMONIC_CMPXCHG:
        case ZYDIS_MNEMONIC_CMPXCHG16B:
        case ZYDIS_MNEMONIC_CBW:
        case ZYDIS_MNEMONIC_CWDE:
        case ZYDIS_MNEMONIC_CDQE:
        case ZYDIS_MNEMONIC_CWD:
        case ZYDIS_MNEMONIC_CDQ:
        case ZYDIS_MNEMONIC_CQO:
        case ZYDIS_MNEMONIC_CLC:
        case ZYDIS_MNEMONIC_STC:
        case ZYDIS_MNEMONIC_CMC:
        case ZYDIS_MNEMONIC_LAHF:
        case ZYDIS_MNEMONIC_SAHF:
        case ZYDIS_MNEMONIC_LFENCE:
        case ZYDIS_MNEMONIC_MFENCE:
        case ZYDIS_MNEMONIC_SFENCE: return true;
        default: return false;
    }
}

bool is_nothing(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_NOP:
        case ZYDIS_MNEMONIC_PREFETCHNTA:
        case ZYDIS_MNEMONIC_PREFETCHT0:
        case ZYDIS_MNEMONIC_PREFETCHT1:
        case ZYDIS_MNEMONIC_PREFETCHT2:
        case ZYDIS_MNEMONIC_PREFETCHW:
        case ZYDIS_MNEMONIC_PREFETCH: return true;
        default: return false;
    }
}

// Near, with the full operand size.
bool is_near(const ZydisDecodedInstruction& in) {
    return in.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR &&
           (in.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) == 0;
}

Kind control_kind(const Instruction& i) {
    const bool direct = i.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    switch (i.zydis.mnemonic) {
        case ZYDIS_MNEMONIC_JMP: return direct ? Kind::jump : Kind::jump_indirect;
        case ZYDIS_MNEMONIC_CALL: return direct ? Kind::call : Kind::call_indirect;
        case ZYDIS_MNEMONIC_RET: return Kind::ret;
        case ZYDIS_MNEMONIC_LOOP:
            return i.zydis.address_width == 64 ? Kind::branch : Kind::interpret_end;
        case ZYDIS_MNEMONIC_JCXZ:
        case ZYDIS_MNEMONIC_JECXZ:
        case ZYDIS_MNEMONIC_LOOPE:
        case ZYDIS_MNEMONIC_LOOPNE: return Kind::interpret_end;
        default: return Kind::branch;
    }
}

// RSP changes by a constant: ADD, SUB, and LEA rsp, [rsp + x].
bool moves_stack(Instruction& i) {
    const ZydisDecodedOperand* o = i.operands.data();
    if (o[0].type != ZYDIS_OPERAND_TYPE_REGISTER || o[0].reg.value != ZYDIS_REGISTER_RSP)
        return false;
    if (i.zydis.mnemonic == ZYDIS_MNEMONIC_LEA) {
        if (o[1].mem.base != ZYDIS_REGISTER_RSP || o[1].mem.index != ZYDIS_REGISTER_NONE)
            return false;
        i.stack_change = static_cast<int32_t>(i.op->displacement);
        return true;
    }
    if (o[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) return false;
    if (i.zydis.mnemonic != ZYDIS_MNEMONIC_ADD && i.zydis.mnemonic != ZYDIS_MNEMONIC_SUB)
        return false;
    const auto value = static_cast<int32_t>(o[1].imm.value.s);
    const bool adds = i.zydis.mnemonic == ZYDIS_MNEMONIC_ADD;
    if (!adds && value == std::numeric_limits<int32_t>::min()) return false;
    i.stack_change = adds ? value : -value;
    return true;
}

bool is_rsp(const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand.reg.value) ==
               ZYDIS_REGISTER_RSP;
}

bool writes_rsp(const Instruction& i) {
    return std::any_of(i.operands.begin(), i.operands.begin() + i.zydis.operand_count,
                       [](const ZydisDecodedOperand& operand) {
                           return is_rsp(operand) &&
                                  (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
                       });
}

Kind push_kind(Instruction& i) {
    if (i.zydis.operand_width != 64 || is_rsp(i.operands[0])) return Kind::interpret;
    const bool segment =
        i.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER && !interp::is_gpr(i.operands[0]);
    if (segment) return Kind::interpret;
    i.stack_change = -8;
    return Kind::push;
}

Kind pop_kind(Instruction& i) {
    if (i.zydis.operand_width != 64 || is_rsp(i.operands[0]) || !interp::is_gpr(i.operands[0]))
        return Kind::interpret;
    i.stack_change = 8;
    return Kind::pop;
}

Kind plain_kind(const Instruction& i) {
    // AMD's processors read four bytes, Intel's two; those are what is checked.
    if (i.zydis.mnemonic == ZYDIS_MNEMONIC_MOVSXD && i.zydis.operand_width == 16)
        return Kind::interpret;
    for (unsigned k = 0; k < i.zydis.operand_count_visible; ++k) {
        const ZydisDecodedOperand& o = i.operands[k];
        if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && !interp::is_gpr(o)) return Kind::interpret;
        // MOV with a 64-bit absolute address has no ModRM byte.
        if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && o.encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM)
            return Kind::interpret;
    }
    const bool bit_string = is_bit_test(i.zydis.mnemonic) && i.memory >= 0 &&
                            i.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
    if (!bit_string) return Kind::native;
    return i.zydis.operand_width == 16 ? Kind::interpret : Kind::bit_string;
}

Kind find_kind(Instruction& i) {
    const Op& op = *i.op;
    const ZydisDecodedInstruction& in = i.zydis;
    const Kind other = op.has(Op::kEndsBlock) ? Kind::interpret_end : Kind::interpret;
    if (op.handler == interp::op_undefined || op.has(Op::kMarked)) return other;
    if (const auto kind = system_kind(i)) return *kind;
    if (op.has(Op::kStartsBlock)) return other;
    if (is_native_string(i)) return Kind::string;
    if (op.has(Op::kNative)) return Kind::native;
    if (op.has(Op::kNativeX87)) return Kind::x87;
    switch (in.meta.category) {
        case ZYDIS_CATEGORY_COND_BR:
        case ZYDIS_CATEGORY_UNCOND_BR:
        case ZYDIS_CATEGORY_CALL:
        case ZYDIS_CATEGORY_RET: return is_near(in) ? control_kind(i) : other;
        case ZYDIS_CATEGORY_CMOV:
        case ZYDIS_CATEGORY_SETCC: return Kind::native;
        default: break;
    }
    if (is_nothing(in.mnemonic)) return Kind::nop;
    if (in.mnemonic == ZYDIS_MNEMONIC_VZEROUPPER || in.mnemonic == ZYDIS_MNEMONIC_VZEROALL) {
        i.uses_vectors = true;
        return Kind::native;
    }
    if (in.mnemonic == ZYDIS_MNEMONIC_PUSH) return push_kind(i);
    if (in.mnemonic == ZYDIS_MNEMONIC_POP) return pop_kind(i);
    if (in.mnemonic == ZYDIS_MNEMONIC_LEA) {
        if (moves_stack(i)) return Kind::move_stack;
        return in.operand_width >= 32 && in.address_width == 64 ? Kind::lea : Kind::interpret;
    }
    if (in.mnemonic == ZYDIS_MNEMONIC_DIV || in.mnemonic == ZYDIS_MNEMONIC_IDIV)
        return in.operand_width >= 32 && !is_rsp(i.operands[0]) ? Kind::divide : other;
    if (!is_plain(in.mnemonic)) return other;
    return moves_stack(i) ? Kind::move_stack : plain_kind(i);
}

void find_operands(Instruction& i) {
    i.uses_avx512 = i.zydis.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    for (unsigned k = 0; k < i.zydis.operand_count_visible; ++k) {
        const ZydisDecodedOperand& o = i.operands[k];
        if (o.type == ZYDIS_OPERAND_TYPE_REGISTER) {
            const ZydisRegisterClass c = ZydisRegisterGetClass(o.reg.value);
            i.uses_vectors |= c == ZYDIS_REGCLASS_XMM || c == ZYDIS_REGCLASS_YMM;
            i.uses_avx512 |= c == ZYDIS_REGCLASS_ZMM || c == ZYDIS_REGCLASS_MASK;
        }
        if (o.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
        i.memory = static_cast<int8_t>(k);
        i.memory_size = static_cast<uint8_t>(o.size / 8);
        i.writes_memory = (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
        i.accesses = o.mem.type == ZYDIS_MEMOP_TYPE_MEM;
    }
}

}  // namespace

bool is_bit_test(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_BT || mnemonic == ZYDIS_MNEMONIC_BTS ||
           mnemonic == ZYDIS_MNEMONIC_BTR || mnemonic == ZYDIS_MNEMONIC_BTC;
}

bool Instruction::on_stack() const {
    return memory >= 0 && op->base == kGuestRsp && op->index == interp::kZeroRegister &&
           op->segment != x86::kFs && op->segment != x86::kGs && !op->has(Op::kAddress32) &&
           !aligned;
}

bool Instruction::writes_gpr(unsigned number) const {
    return std::any_of(operands.begin(), operands.begin() + zydis.operand_count,
                       [number](const ZydisDecodedOperand& operand) {
                           return (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
                                  interp::is_gpr(operand) &&
                                  interp::gpr_offset(operand.reg.value) / 8U == number;
                       });
}

void analyse(const Op& op, uint64_t rip, const uint8_t* bytes, UndefinedFlags undefined,
             Instruction& i) {
    i.op = &op;
    i.rip = rip;
    std::copy_n(bytes, op.length, i.bytes.begin());
    ZydisDecoderContext context;
    const bool decoded =
        ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder(), &context, i.bytes.data(), op.length,
                                                   &i.zydis)) &&
        ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&decoder(), &context, &i.zydis, i.operands.data(),
                                                i.zydis.operand_count));
    if (!decoded) {  // op_undefined
        i.flags_read = kAllFlags;
        i.kind = Kind::interpret_end;
        return;
    }
    find_flags(i.zydis, i.operands.data(), undefined, i.flags_read, i.flags_killed);
    i.changes_flags = i.zydis.cpu_flags != nullptr && changes_any(*i.zydis.cpu_flags);
    find_operands(i);
    i.kind = find_kind(i);
    // Some have no vector register among their operands, but exceptions in MXCSR.
    if (op.has(Op::kNative)) i.uses_vectors |= interp::thunk_of(&op).uses_mxcsr;
    i.aligned = i.memory_size >= 16 &&
                (op.has(Op::kAligned) || i.zydis.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B);
    if (i.is_interpreted() || i.kind == Kind::native || i.kind == Kind::lea ||
        i.kind == Kind::system)
        i.changes_rsp = writes_rsp(i);
    i.uses_vectors |= i.uses_avx512;
    if (i.is_interpreted()) i.uses_vectors = i.uses_avx512 = false;
    if (i.kind == Kind::call || i.kind == Kind::call_indirect || i.kind == Kind::pushf)
        i.stack_change = -8;
    if (i.kind == Kind::native && i.accesses && i.memory_size == 0) i.kind = Kind::interpret;
}

uint32_t flags_needed(const uint8_t* bytes, unsigned available, UndefinedFlags undefined) {
    constexpr unsigned kLookAhead = 12;
    uint32_t open = kAllFlags;
    uint32_t needed = 0;
    unsigned at = 0;
    for (unsigned n = 0; n < kLookAhead && at < available; ++n) {
        ZydisDecodedInstruction in;
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder(), nullptr, bytes + at,
                                                        available - at, &in)))
            break;
        uint32_t read;
        uint32_t killed;
        find_flags(in, nullptr, undefined, read, killed);
        needed |= read & open;
        open &= ~killed;
        if (open == 0) return needed;
        if (in.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE) break;
        at += in.length;
    }
    return needed | open;
}

}  // namespace banyan::jit
