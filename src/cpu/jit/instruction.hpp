// Instruction: what the translator knows of one guest instruction.
#pragma once

#include <Zydis/Zydis.h>
#include <array>
#include <cstdint>
#include <optional>

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/op.hpp"

namespace banyan::jit {

// The six arithmetic flags, as bits of EFLAGS.
inline constexpr uint32_t kAllFlags = 0x8D5;

enum class Kind : uint8_t {
    native,  // itself, with other registers and another address
    x87,     // the same for the x87 and EMMS: emitter_x87.cpp
    nop,
    lea,
    divide,      // DIV, IDIV of 32 and 64 bits
    push,        // a register, an immediate or memory
    pop,         // into a register
    move_stack,  // ADD, SUB, LEA of RSP and a constant
    jump,        // to a constant address
    branch,      // on a condition
    call,
    jump_indirect,
    call_indirect,
    ret,
    pushf,          // PUSHFQ
    system,         // emitter_system.cpp; goes on with the next one
    string,         // REP MOVS and REP STOS: emitter_string.cpp
    bit_string,     // BT and the like with a register's bit of memory: emitter_string.cpp
    transfer,       // a change of mode: a stub does it and goes on by the jump table
    interpret,      // by its handler; goes on with the next one
    interpret_end,  // by its handler, which may go anywhere
};

struct Instruction {
    const interp::Op* op = nullptr;
    Kind kind = Kind::interpret_end;
    uint64_t rip = 0;
    ZydisDecodedInstruction zydis{};
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands{};
    std::array<uint8_t, 16> bytes{};

    uint32_t flags_read = 0;
    uint32_t flags_killed = 0;  // certainly written
    bool changes_flags = false;
    uint32_t flags_live_out = 0;
    bool flags_dirty = false;  // before it, cpu.arith may not be what the host's flags are

    int8_t memory = -1;     // index of the explicit memory operand
    bool accesses = false;  // it is read or written
    bool writes_memory = false;
    bool aligned = false;     // #GP unless it is aligned to its size
    uint8_t memory_size = 0;  // bytes
    int16_t group = -1;       // index of its AccessGroup in Region::groups
    bool uses_vectors = false;
    bool uses_avx512 = false;  // its registers, or all of their bits
    bool changes_rsp = false;  // in a way that is not followed
    int32_t stack_change = 0;  // what it adds to RSP otherwise

    uint64_t next_rip() const { return rip + op->length; }
    bool is_interpreted() const { return kind == Kind::interpret || kind == Kind::interpret_end; }
    // It finds the guest's x87 or MMX registers in the host's.
    bool uses_x87() const { return !is_interpreted() && op->has(interp::Op::kNativeX87); }
    // Which of the host's flags matter before it. The interpreter reads cpu.arith and leaves it
    // true, so what it does not write must get there.
    uint32_t flags_live_in() const {
        if (!is_interpreted()) return (flags_live_out & ~flags_killed) | flags_read;
        return flags_dirty ? (kAllFlags & ~flags_killed) | flags_read : 0;
    }
    // The host's flags must be the guest's when it runs natively.
    bool needs_host_flags() const {
        return flags_read != 0 || (changes_flags && (flags_live_out & ~flags_killed) != 0);
    }
    // The memory operand is [RSP + constant].
    bool on_stack() const;
    bool writes_gpr(unsigned number) const;
};

// Does generated code do this instruction of the system family, or one near to it, itself? As a
// system, transfer or pushf.
std::optional<Kind> system_kind(const Instruction& instruction);  // system_instruction.cpp
// REP MOVS or REP STOS as compilers and kernels use it.
bool is_native_string(const Instruction& instruction);  // emitter_string.cpp

// BT, BTS, BTR, BTC: with a register they reach beyond a memory operand.
bool is_bit_test(ZydisMnemonic mnemonic);

// What becomes of flags that an instruction leaves undefined.
enum class UndefinedFlags : uint8_t {
    any,    // whatever is cheapest
    exact,  // what the host's instruction makes of the flags before it, as in the interpreter
};

// `op` is the decoded form of `bytes` at `rip`, in 64-bit code; `result` is as it was made.
void analyse(const interp::Op& op, uint64_t rip, const uint8_t* bytes, UndefinedFlags undefined,
             Instruction& result);

// Which flags code at `bytes` may look at before it writes them. Reads no more than `available`.
uint32_t flags_needed(const uint8_t* bytes, unsigned available, UndefinedFlags undefined);

}  // namespace banyan::jit
