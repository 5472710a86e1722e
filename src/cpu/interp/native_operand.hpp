// Handlers of instructions that run a thunk on a memory operand.
#pragma once

#include "cpu/interp/native_thunk.hpp"
#include "cpu/interp/op.hpp"

namespace banyan::interp {

// What becomes of a misaligned memory operand of 16 bytes or more.
enum class Alignment {
    any,       // it is as good as another
    required,  // #GP(0)
    copied,    // the guest may, but this host may not: it goes through a copy (loads only)
};

// The handler for a thunk's memory operand.
Handler operand_handler(const Thunk& thunk, Alignment alignment);

// The same for x87 instructions, which have 10-byte operands, too.
Handler x87_operand_handler(unsigned size, bool stores);

}  // namespace banyan::interp
