// String instructions with and without REP, in both directions.
#include "lockstep/families.hpp"

namespace banyan::lockstep {

namespace {

constexpr uint64_t kMaxCount = 80;
constexpr uint64_t kMaxLongCount = 6000;  // over several pages

struct Instruction {
    ZydisMnemonic mnemonic;
    bool compares;  // REPE and REPNE, else REP
};
constexpr Instruction kInstructions[] = {
    {ZYDIS_MNEMONIC_MOVSB, false}, {ZYDIS_MNEMONIC_MOVSW, false}, {ZYDIS_MNEMONIC_MOVSD, false},
    {ZYDIS_MNEMONIC_MOVSQ, false}, {ZYDIS_MNEMONIC_STOSB, false}, {ZYDIS_MNEMONIC_STOSW, false},
    {ZYDIS_MNEMONIC_STOSD, false}, {ZYDIS_MNEMONIC_STOSQ, false}, {ZYDIS_MNEMONIC_LODSB, false},
    {ZYDIS_MNEMONIC_LODSD, false}, {ZYDIS_MNEMONIC_LODSQ, false}, {ZYDIS_MNEMONIC_CMPSB, true},
    {ZYDIS_MNEMONIC_CMPSW, true},  {ZYDIS_MNEMONIC_CMPSD, true},  {ZYDIS_MNEMONIC_CMPSQ, true},
    {ZYDIS_MNEMONIC_SCASB, true},  {ZYDIS_MNEMONIC_SCASD, true},  {ZYDIS_MNEMONIC_SCASQ, true},
};

}  // namespace

bool emit_string(Stream& s) {
    if (!s.are_free({x86::kRax, x86::kRcx, x86::kRsi, x86::kRdi})) return false;
    const Instruction& instruction = kInstructions[s.random.below(std::size(kInstructions))];
    const bool backwards = s.random.chance(20);
    s.mov(reg(ZYDIS_REGISTER_RSI), imm(s.address(8)));
    s.mov(reg(ZYDIS_REGISTER_RDI), imm(s.address(8)));
    if (backwards) s.emit(ZYDIS_MNEMONIC_STD);
    ZydisInstructionAttributes prefix = 0;
    if (s.random.chance(65)) {
        const bool is_long = !s.in_loop() && s.random.chance(8);
        const uint64_t most = is_long ? kMaxLongCount : kMaxCount;
        s.mov(reg(ZYDIS_REGISTER_RCX), imm(s.random.chance(10) ? 0 : s.random.below(most)));
        prefix = !instruction.compares ? ZYDIS_ATTRIB_HAS_REP
                 : s.random.chance(50) ? ZYDIS_ATTRIB_HAS_REPE
                                       : ZYDIS_ATTRIB_HAS_REPNE;
    }
    const bool done = s.emit(instruction.mnemonic, {}, prefix);
    if (backwards) s.emit(ZYDIS_MNEMONIC_CLD);
    return done;
}

}  // namespace banyan::lockstep
