// The x87: its instructions are the host's own, with another address. What the guest's x87
// remembers of its last instruction is noted in the Cpu.
#include "cpu/interp/native_families.hpp"
#include "cpu/interp/native_layout.hpp"
#include "cpu/interp/native_x87_state.hpp"
#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

namespace {

// FOP: Intel SDM vol. 1 section 8.1.9.
uint16_t x87_opcode(const ZydisDecodedInstruction& in) {
    const unsigned modrm =
        unsigned{in.raw.modrm.mod} << 6 | unsigned{in.raw.modrm.reg} << 3 | in.raw.modrm.rm;
    return static_cast<uint16_t>((in.opcode & 7U) << 8 | modrm);
}

}  // namespace

// Part of a region's entry.
void Emitter::enter_x87(uint64_t rip) {
    const Label load = new_label();
    const Label loaded = new_label();
    a_.cmp(state(kX87LiveAt, 4), 0);
    a_.je(load);
    a_.bind(loaded);
    later([=, this] {
        a_.bind(load);
        set_rip(rip);
        a_.call(std::bit_cast<uint64_t>(stubs_.load_x87));
        a_.jmp(loaded);
    });
}

void Emitter::emit_x87(const Instruction& instruction) {
    const ZydisMnemonic mnemonic = instruction.zydis.mnemonic;
    if (mnemonic == ZYDIS_MNEMONIC_FWAIT) return;  // nothing is pending
    if (mnemonic == ZYDIS_MNEMONIC_EMMS) {
        a_.emms();
        return;
    }
    if (mnemonic == ZYDIS_MNEMONIC_FLDCW) return emit_fldcw(instruction);
    const auto reg = static_cast<unsigned>(instruction.zydis.raw.modrm.reg);
    const auto opcode = static_cast<uint8_t>(instruction.zydis.opcode);
    if (instruction.memory < 0) {
        const uint8_t code[] = {
            opcode, static_cast<uint8_t>(0xC0U | reg << 3 | instruction.zydis.raw.modrm.rm)};
        bring_flags(instruction);
        a_.embed(code, sizeof(code));
        note_changed_flags(instruction);
        if (!interp::is_native_x87_control(mnemonic)) x87_last_ = &instruction;
        return;
    }
    const Label done = new_label();
    const HostAddress at = memory_operand(instruction, done);
    const auto displacement = static_cast<uint32_t>(at.displacement);
    const uint8_t code[] = {0x41,  // REX.B: the base is R9 or R10
                            opcode,
                            static_cast<uint8_t>(0x80U | reg << 3 | (at.base & 7U)),
                            static_cast<uint8_t>(displacement),
                            static_cast<uint8_t>(displacement >> 8),
                            static_cast<uint8_t>(displacement >> 16),
                            static_cast<uint8_t>(displacement >> 24)};
    a_.embed(code, sizeof(code));
    if (!interp::is_native_x87_control(mnemonic)) {
        note_x87_data(instruction);
        x87_last_ = &instruction;
    }
    join(instruction, done);
}

// The new control word is looked at first, in a copy that no other vCPU can change: exceptions are
// unmasked by the interpreter only.
void Emitter::emit_fldcw(const Instruction& instruction) {
    const Label done = new_label();
    const Label unmasks = new_label();
    keep_flags(instruction);
    const HostAddress at = memory_operand(instruction, done);
    a_.movzx(kT1.r32(), x86a::ptr(host_gpr(at.base), at.displacement, 2));
    a_.mov(state(kScratchAt, 2), kT1.r16());
    a_.not_(kT1.r32());
    a_.test(kT1.r32(), interp::X87State::kExceptions);
    a_.jnz(unmasks);
    a_.fldcw(state(kScratchAt, 2));
    slow_way(instruction, unmasks, done);
    join(instruction, done);
}

// FDP, the offset in the segment.
void Emitter::note_x87_data(const Instruction& instruction) {
    load_offset(instruction, instruction.op->displacement);
    a_.mov(state(interp::kFdpAt), kT0);
}

// FIP and FOP of the last instruction, wherever something might look at them. Changes no flags.
void Emitter::note_x87(const Instruction* last) {
    if (last == nullptr) return;
    a_.mov(kT1, last->rip);
    a_.mov(state(interp::kFipAt), kT1);
    a_.mov(state(interp::kFopAt, 2), x87_opcode(last->zydis));
}

void Emitter::finish_x87() {
    note_x87(x87_last_);
    x87_last_ = nullptr;
}

}  // namespace banyan::jit
