// Recipe: a guest instruction put into the one form in which the host executes it.
//
// The form is 64-bit code with the same vector registers; a memory operand becomes [r9], explicit
// general registers become r10 (ModRM.reg), r11 (ModRM.rm) and r8 (VEX.vvvv), and prefixes that
// have no say are dropped. Instructions that differ in nothing else share one recipe, and so one
// thunk. Registers that no operand names (RAX, RCX and RDX of PCMPESTRI, RDX of MULX) stay as they
// are, which is why the stand-ins are others.
#pragma once

#include <Zydis/Zydis.h>
#include <array>
#include <cstddef>
#include <cstdint>

#include "cpu/interp/op.hpp"

namespace banyan::interp {

inline constexpr unsigned kMemoryBase = 9;
inline constexpr std::array<uint8_t, 3> kStandIns = {10, 11, 8};

struct Recipe {
    std::array<uint8_t, 16> code{};
    uint8_t length = 0;
    // Guest registers (byte offsets into Cpu::gpr) behind the stand-ins; kNoOperand: not used.
    std::array<uint8_t, 3> gpr = {kNoOperand, kNoOperand, kNoOperand};
    // VEX-encoded, for a guest with AVX-512: bits 511:256 of the registers it writes become zero.
    bool clears_zmm_high = false;

    friend bool operator==(const Recipe&, const Recipe&) = default;
};

struct RecipeHash {
    size_t operator()(const Recipe& recipe) const;
};

// What Zydis says about a recipe's code: all operands, hidden ones too.
struct RecipeDetails {
    ZydisDecodedInstruction instruction;
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
};

// False: the recipe would not do what the guest's instruction does. `without_f3` drops the prefix
// that makes BSF a TZCNT and BSR an LZCNT.
bool make_recipe(const Decoded& decoded, Recipe& recipe, bool without_f3 = false);
bool decode_recipe(const Recipe& recipe, RecipeDetails& details);

}  // namespace banyan::interp
