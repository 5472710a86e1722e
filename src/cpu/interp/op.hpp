// Op: one decoded instruction, ready to run, and how families of instructions are selected.
//
// Instructions are decoded once (Zydis), into blocks: arrays of Ops that end at a branch, a page
// end or a serialising instruction. A handler does all of one instruction and then continues with
// the next one by NEXT. Returning without NEXT ends the block: after a branch (cpu.rip set), or
// because a fault is pending.
//
// Rules for handlers:
//   - all accesses that can fault come before the first change of architectural state;
//   - memory goes through Cpu::read/write/modify, whose false means "a fault is pending: return";
//   - cpu.rip is not kept up to date inside a block: use cpu.rip_of(op) and cpu.next_rip(op);
//   - an instruction that changes the mode (CS, CPL, CR0, CR4, EFER, EFLAGS.AC/TF/VM, XCR0, DR7) or
//   that must be
//     followed by a check for events ends its block: it calls cpu.finish(op) and returns. The
//     selector says so by setting Op::kEndsBlock.
#pragma once

#include <Zydis/Zydis.h>
#include <cstdint>

#include "arch/x86/registers.hpp"

namespace banyan::interp {

class Cpu;
class CpuModel;
struct Op;
using Handler = void (*)(Cpu& cpu, const Op* op);

// Register operands are byte offsets into Cpu::gpr, so that AH (1) and R15D (120) are reached
// alike. Address registers are indices; kZeroRegister stands for "none".
inline constexpr uint8_t kZeroRegister = 16;
inline constexpr uint8_t kNoOperand = 0xFF;
inline constexpr uint8_t kAl = 0;
inline constexpr uint8_t kAh = 1;

struct Op {
    enum Bits : uint16_t {
        kHasMemory = 1 << 0,     // one operand is memory: address fields are valid
        kCheckSegment = 1 << 1,  // limits and rights of `segment` must be checked (not flat)
        kLock = 1 << 2,
        kRep = 1 << 3,             // F3
        kRepne = 1 << 4,           // F2
        kEndsBlock = 1 << 5,       // no instruction follows in this block
        kAddress32 = 1 << 6,       // the effective address is cut to 32 bits
        kAddress16 = 1 << 7,       // ... to 16 bits
        kCheckAlignment = 1 << 8,  // CR0.AM and EFLAGS.AC and CPL 3
        kStartsBlock = 1 << 9,     // of the system family: see Cpu::settle()
        kNative = 1 << 10,         // runs on the host as it is (a thunk that is not x87)
        kAligned = 1 << 11,    // with kNative: the host may not take a misaligned memory operand
        kNativeX87 = 1 << 12,  // the same on the x87's registers; with kNative: MMX
        kShadow = 1 << 13,     // no interrupt comes between it and the next instruction (STI)
        kFollowed = 1 << 14,   // with kShadow: that one ends its block, so that none can
        kMarked = 1 << 15,     // a debugger stops here: its handler is not the instruction's
    };

    Handler handler = nullptr;
    int64_t displacement =
        0;  // rip-relative: the whole linear offset, base and index are kZeroRegister
    uint64_t immediate = 0;       // sign-extended to the operand size; branches: the target rip
    const void* extra = nullptr;  // a family's own data, owned by the block's arena
    uint16_t bits = 0;
    uint16_t offset = 0;  // of the instruction from the block's start, in bytes
    uint8_t length = 0;
    uint8_t operand_size = 0;  // bytes: 1, 2, 4, 8 (the effective operand size of the instruction)
    uint8_t destination = kNoOperand;  // first register operand (byte offset)
    uint8_t source = kNoOperand;       // second register operand (byte offset)
    uint8_t base = kZeroRegister;
    uint8_t index = kZeroRegister;
    uint8_t scale = 0;  // shift count
    uint8_t segment = x86::kDs;

    bool has(Bits bit) const { return (bits & bit) != 0; }
    // What the effective address is cut to.
    uint64_t address_mask() const {
        if (has(kAddress16)) return 0xFFFF;
        return has(kAddress32) ? 0xFFFFFFFF : ~uint64_t{0};
    }
};

// What the mode of a block says about the code in it: part of the block's key, so that handlers may
// rely on it.
struct Mode {
    enum Bits : uint32_t {
        kCode64 = 1 << 0,
        kCode32 = 1 << 1,     // neither: 16-bit code
        kStack32 = 1 << 2,    // SS.B (in 64-bit mode the stack is 64 bits wide)
        kProtected = 1 << 3,  // CR0.PE
        kVm86 = 1 << 4,
        kLongMode = 1 << 5,  // EFER.LMA
        kUser = 1 << 6,      // CPL 3
        kFlat =
            1
            << 7,  // CS, DS, ES, SS: base 0, limit 4 GiB, data writable (always set in 64-bit mode)
        kOneInstruction = 1 << 8,  // after STI, MOV SS; single step; code breakpoints
        kAlignmentCheck = 1 << 9,
        kFpuTrap = 1 << 10,        // CR0.EM or TS: x87 raises #NM
        kSseTrap = 1 << 11,        // CR0.TS: SSE and AVX raise #NM
        kSseInvalid = 1 << 12,     // CR0.EM or not CR4.OSFXSR: SSE raises #UD
        kAvxInvalid = 1 << 13,     // not CR4.OSXSAVE, or XCR0 without SSE and AVX, or real or VM86
                                   // mode: VEX raises #UD
        kMonitorFpu = 1 << 14,     // CR0.MP and TS: WAIT raises #NM
        kFpuError = 1 << 15,       // CR0.NE
        kUserHidden = 1 << 16,     // SMAP is in force: explicit accesses do not see user pages
        kAvx512Invalid = 1 << 17,  // as kAvxInvalid, or XCR0 without AVX-512: EVEX and opmask
                                   // instructions raise #UD
    };
    uint32_t bits = 0;

    bool has(Bits bit) const { return (bits & bit) != 0; }
    friend bool operator==(Mode, Mode) = default;
};

// Memory that lives as long as the blocks of one code cache generation.
class Arena;

// What a selector sees. `op` has its operands filled in as far as the general rules go:
//   memory operand -> address fields; first and second general-register operand -> destination,
//   source (in operand order, skipping other kinds); immediate -> immediate; operand_size, bits,
//   length.
struct Decoded {
    const ZydisDecodedInstruction& instruction;
    const ZydisDecodedOperand* operands;  // [0, instruction.operand_count_visible)
    const uint8_t* bytes;
    uint64_t rip;  // of this instruction (offset in CS)
    Mode mode;
    const CpuModel& model;
    Arena& arena;
};

// Each returns the handler for an instruction of its family, or null if the mnemonic is not its
// own. May change op's fields and set kEndsBlock.
Handler select_integer(const Decoded& decoded,
                       Op& op);  // moves, arithmetic, shifts, bits, stack, strings, BMI
Handler select_control(const Decoded& decoded,
                       Op& op);  // near jumps, calls, returns, loops, conditional moves and sets
Handler select_system(
    const Decoded& decoded,
    Op& op);  // segments, far transfers, interrupts, control registers, MSRs, port I/O
Handler select_native(const Decoded& decoded,
                      Op& op);  // x87, MMX, SSE, AVX and all that runs on host vector units

// Raises #UD: for what is not an instruction in this mode.
void op_undefined(Cpu& cpu, const Op* op);

}  // namespace banyan::interp

// Continues with the next instruction of the block. A tail call: see docs/interpreter.md.
#define NEXT(cpu, op) return (op)[1].handler((cpu), (op) + 1)
