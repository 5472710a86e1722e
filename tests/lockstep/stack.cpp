// Push, pop, frames, and arithmetic on RSP. Whatever happens in between, RSP is restored.
#include "lockstep/families.hpp"

namespace banyan::lockstep {

namespace {

constexpr unsigned kMaxPushes = 4;

bool push_something(Stream& s) {
    switch (s.random.below(6)) {
        case 0: return s.emit(ZYDIS_MNEMONIC_PUSH, {s.immediate(4)});
        case 1: {
            const Place from = s.memory(8);
            return s.emit(ZYDIS_MNEMONIC_PUSH, {from.operand}, from.prefixes);
        }
        case 2: return s.emit(ZYDIS_MNEMONIC_PUSHFQ);
        default: return s.emit(ZYDIS_MNEMONIC_PUSH, {s.source(8)});
    }
}

bool pop_something(Stream& s) {
    if (s.random.chance(15)) {
        const Place to = s.memory(8);
        return s.emit(ZYDIS_MNEMONIC_POP, {to.operand}, to.prefixes);
    }
    return s.emit(ZYDIS_MNEMONIC_POP, {s.target(8)});
}

// An access that faults is skipped, and RSP stays behind: so it is saved in a register.
bool emit_pushes(Stream& s) {
    const unsigned saved = s.free_gpr();
    s.mov(reg(gpr(saved)), reg(ZYDIS_REGISTER_RSP));
    s.reserve(saved);
    const uint64_t count = 1 + s.random.below(kMaxPushes);
    for (uint64_t i = 0; i < count; ++i)
        push_something(s);
    emit_integer(s);
    for (uint64_t i = s.random.below(2); i < count; ++i)
        pop_something(s);
    s.release(saved);
    return s.mov(reg(ZYDIS_REGISTER_RSP), reg(gpr(saved)));
}

bool emit_sixteen_bit_pushes(Stream& s) {
    s.emit(ZYDIS_MNEMONIC_PUSH, {s.source(2)});
    emit_integer(s);
    return s.emit(ZYDIS_MNEMONIC_POP, {s.target(2)});
}

bool emit_frame(Stream& s) {
    if (!s.is_free(x86::kRbp)) return false;
    if (s.random.chance(40)) {
        s.emit(ZYDIS_MNEMONIC_ENTER, {imm(s.random.below(64) * 8), imm(0)});
    } else {
        s.emit(ZYDIS_MNEMONIC_PUSH, {reg(ZYDIS_REGISTER_RBP)});
        s.mov(reg(ZYDIS_REGISTER_RBP), reg(ZYDIS_REGISTER_RSP));
        s.emit(ZYDIS_MNEMONIC_SUB, {reg(ZYDIS_REGISTER_RSP), imm(s.random.below(0x200) * 8)});
    }
    s.reserve(x86::kRbp);
    if (s.random.chance(50))
        s.emit(ZYDIS_MNEMONIC_AND, {reg(ZYDIS_REGISTER_RSP), imm(~uint64_t{15})});
    const auto local = -static_cast<int64_t>(1 + s.random.below(6)) * 8;
    s.mov(mem(8, ZYDIS_REGISTER_RBP, local), s.source(8));
    emit_integer(s);
    s.mov(s.target(8), mem(8, ZYDIS_REGISTER_RBP, local));
    s.release(x86::kRbp);
    if (s.random.chance(70)) return s.emit(ZYDIS_MNEMONIC_LEAVE);
    s.mov(reg(ZYDIS_REGISTER_RSP), reg(ZYDIS_REGISTER_RBP));
    return s.emit(ZYDIS_MNEMONIC_POP, {reg(ZYDIS_REGISTER_RBP)});
}

bool emit_rsp_arithmetic(Stream& s) {
    const Operand rsp = reg(ZYDIS_REGISTER_RSP);
    const uint64_t distance = s.random.below(0x100) * 8;
    const bool by_lea = s.random.chance(50);
    const auto move = [&](int64_t by) {
        if (by_lea) return s.emit(ZYDIS_MNEMONIC_LEA, {rsp, mem(8, ZYDIS_REGISTER_RSP, by)});
        return s.emit(ZYDIS_MNEMONIC_ADD, {rsp, imm(static_cast<uint64_t>(by))});
    };
    move(-static_cast<int64_t>(distance));
    push_something(s);
    s.emit(ZYDIS_MNEMONIC_POP, {s.target(8)});
    s.emit(s.random.pick({ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_CMP, ZYDIS_MNEMONIC_XOR}),
           {s.target(8), rsp});
    return move(static_cast<int64_t>(distance));
}

// A stack in the data pages, whose pointer straddles the end of one.
bool emit_straddle(Stream& s) {
    const unsigned saved = s.free_gpr();
    s.mov(reg(gpr(saved)), reg(ZYDIS_REGISTER_RSP));
    s.reserve(saved);
    const uint64_t page = 1 + s.random.below(s.in_loop() ? 6 : 16);
    uint64_t top = s.window() + kData + page * kPage + s.random.below(24);
    if (s.settings.alignment_check) top &= ~uint64_t{7};  // see emit_stack()
    s.mov(reg(ZYDIS_REGISTER_RSP), imm(top));
    for (unsigned i = 0; i < 3; ++i)
        s.emit(ZYDIS_MNEMONIC_PUSH, {s.source(8)});
    emit_integer(s);
    for (unsigned i = 0; i < 2; ++i)
        s.emit(ZYDIS_MNEMONIC_POP, {s.target(8)});
    s.release(saved);
    return s.mov(reg(ZYDIS_REGISTER_RSP), reg(gpr(saved)));
}

// Arithmetic flags from memory, with the system flags that user mode may change.
bool emit_popf(Stream& s) {
    uint64_t flags = s.random.bits() & x86::kArithmeticFlags;
    if (s.random.chance(10)) flags |= x86::kId;
    if (s.random.chance(s.settings.alignment_check ? 25 : 5)) flags |= x86::kAc;
    if (s.main) flags |= x86::kIf;
    s.emit(ZYDIS_MNEMONIC_PUSH, {imm(flags)});
    s.emit(ZYDIS_MNEMONIC_POPFQ);
    return emit_integer(s);
}

}  // namespace

// With alignment checks RSP stays aligned: the interpreter forgets the check where its TLB has the
// page, so that #AC would come or not.
bool emit_stack(Stream& s) {
    switch (s.random.below(10)) {
        case 0:
        case 1: return emit_frame(s);
        case 2: return emit_rsp_arithmetic(s);
        case 3: return emit_straddle(s);
        case 4: return emit_popf(s);
        case 5: return !s.settings.alignment_check && emit_sixteen_bit_pushes(s);
        default: return emit_pushes(s);
    }
}

}  // namespace banyan::lockstep
