// Code that writes code: immediates and opcodes of the next instruction, of functions, through
// another linear address, and copies.
#include "lockstep/families.hpp"

namespace banyan::lockstep {

namespace {

constexpr unsigned kMovImmediate = 1;  // offset of the immediate in MOV r32, imm32 without REX

// There always is one: fewer than eight are reserved.
unsigned free_legacy_gpr(Stream& s) {
    for (;;) {
        const unsigned r = s.free_gpr();
        if (r < 8) return r;
    }
}

// MOV r32, imm32 as B8+r.
bool mov_immediate(Stream& s, unsigned r, uint32_t value) {
    std::vector<uint8_t> bytes{static_cast<uint8_t>(0xB8 + r)};
    for (unsigned i = 0; i < 4; ++i)
        bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
    return s.a.emit_bytes(bytes);
}

// A store of four bytes to code `distance` bytes behind the store, `through` another window.
bool store_ahead(Stream& s, uint64_t distance, uint64_t through = 0) {
    constexpr uint64_t kLength = 6;
    const unsigned r = s.random.pick({0U, 1U, 2U, 3U});
    return s.emit(ZYDIS_MNEMONIC_MOV,
                  {at(4, s.a.here() + kLength + distance + through), reg(gpr(r, 4))});
}

// The immediate of the next instruction, or of one further on.
bool patch_immediate(Stream& s) {
    const unsigned r = free_legacy_gpr(s);
    const uint64_t gap = s.random.chance(50) ? 0 : 1 + s.random.below(3);
    if (!store_ahead(s, gap * 3 + kMovImmediate)) return false;
    for (uint64_t i = 0; i < gap; ++i) {
        if (!s.a.emit_bytes(std::vector<uint8_t>{0x0F, 0x1F, 0x00})) return false;  // NOP
    }
    return mov_immediate(s, r, static_cast<uint32_t>(s.random.bits()));
}

// ADD, SUB, XOR and the like have opcodes of one byte: one becomes another.
bool patch_opcode(Stream& s) {
    if (!s.is_free(x86::kRax)) return false;
    const unsigned to = free_legacy_gpr(s);
    // Not ADC and SBB: a store drops flags that the code behind it did not read before
    // (docs/jit.md, "What is not exact").
    const uint8_t opcode = s.random.pick<uint8_t>({0x01, 0x09, 0x21, 0x29, 0x31});
    const uint8_t before = s.random.pick<uint8_t>({0x01, 0x09, 0x21, 0x29, 0x31});
    const auto modrm = static_cast<uint8_t>(0xC0 | s.random.below(8) << 3 | to);
    constexpr uint64_t kStore = 7;  // MOV byte [rip + d], imm8
    return s.emit(ZYDIS_MNEMONIC_MOV, {at(1, s.a.here() + kStore), imm(opcode)}) &&
           s.a.emit_bytes(std::vector<uint8_t>{before, modrm});
}

// Through the other window onto the code; then an instruction that serialises (Intel SDM vol. 3
// section 8.1.3): the service's IRET.
bool patch_through_alias(Stream& s) {
    if (s.supervisor) return false;
    const unsigned r = free_legacy_gpr(s);
    constexpr uint64_t kInt = 2;
    return store_ahead(s, kInt + kMovImmediate, kCodeAlias) &&
           s.emit(ZYDIS_MNEMONIC_INT, {imm(kServiceVector)}) &&
           mov_immediate(s, r, static_cast<uint32_t>(s.random.bits()));
}

// Code that was run before, perhaps many times: the first instruction of a function, a MOV.
bool patch_function(Stream& s) {
    if (s.functions.empty() || !s.main) return false;
    const uint64_t function = s.functions[s.random.below(s.functions.size())];
    const unsigned r = s.free_gpr();
    s.mov(reg(gpr(r)), imm(function + kMovImmediate));
    s.mov(mem(4, gpr(r)), s.source(4));
    return s.emit(ZYDIS_MNEMONIC_CALL, {at(8, s.window() + kControl + kControlTable)}) || true;
}

// Copies a piece of code to a page that is both writable and executable, and calls it.
bool copy_and_call(Stream& s) {
    if (s.templates.empty() || !s.are_free({x86::kRax, x86::kRcx, x86::kRsi, x86::kRdi}))
        return false;
    const auto& [offset, length] = s.templates[s.random.below(s.templates.size())];
    const uint64_t to = s.window() + kScratchCode + s.random.below(3) * (kPage - 24);
    s.mov(reg(ZYDIS_REGISTER_RSI), imm(s.window() + kCode + offset));
    s.mov(reg(ZYDIS_REGISTER_RDI), imm(to));
    s.mov(reg(ZYDIS_REGISTER_ECX), imm(length));
    s.emit(ZYDIS_MNEMONIC_MOVSB, {}, ZYDIS_ATTRIB_HAS_REP);
    s.mov(reg(ZYDIS_REGISTER_RAX), imm(to));
    return s.emit(ZYDIS_MNEMONIC_CALL, {reg(ZYDIS_REGISTER_RAX)});
}

}  // namespace

bool emit_self_modifying(Stream& s) {
    if (s.repeats > 300) return false;  // slow by nature
    switch (s.random.below(5)) {
        case 0: return patch_immediate(s);
        case 1: return patch_opcode(s);
        case 2: return patch_through_alias(s);
        case 3: return patch_function(s);
        default: return copy_and_call(s);
    }
}

}  // namespace banyan::lockstep
