// Assembler: instructions by mnemonic and operands (Zydis encodes them), labels, and for each
// instruction what a handler needs to skip it.
#pragma once

#include <Zydis/Zydis.h>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace banyan::lockstep {

using Operand = ZydisEncoderOperand;

Operand reg(ZydisRegister r);
Operand imm(uint64_t value);
Operand imm32(uint32_t value);  // of a 32-bit operation: as the encoder wants it, sign-extended
// `size` in bytes. With a scale of 0 there is no index.
Operand mem(unsigned size, ZydisRegister base, int64_t displacement = 0,
            ZydisRegister index = ZYDIS_REGISTER_NONE, unsigned scale = 0);
// At a linear address, relative to RIP.
Operand at(unsigned size, uint64_t linear);

// General register `number` (0..15), `size` bytes wide; SPL..DIL for one byte.
ZydisRegister gpr(unsigned number, unsigned size = 8);

struct Label {
    unsigned number = 0;
};

// What is to be known of a place in the code.
struct CodeNotes {
    std::vector<uint8_t> lengths;     // of the instruction that begins here; 0: none does
    std::vector<uint8_t> flag_masks;  // the flags that it may write: see flag_mask()
};

// The arithmetic flags that the instruction may write: the low byte of EFLAGS, and OF as bit 1.
uint8_t flag_mask(const ZydisDecodedInstruction& instruction);

class Assembler {
public:
    // Writes to `bytes`, which will stand at `linear`.
    Assembler(std::span<uint8_t> bytes, uint64_t linear);

    // False: there is no such instruction, or no room.
    bool emit(ZydisMnemonic mnemonic, std::initializer_list<Operand> operands = {},
              ZydisInstructionAttributes prefixes = 0);
    bool emit(ZydisMnemonic mnemonic, std::span<const Operand> operands,
              ZydisInstructionAttributes prefixes);
    // One instruction as it is.
    bool emit_bytes(std::span<const uint8_t> bytes);
    void data(uint64_t value);

    Label make_label();
    void bind(Label label);
    void branch(ZydisMnemonic mnemonic, Label target, bool is_short = false);
    void lea(ZydisRegister to, Label label);
    // Known once the label is bound.
    uint64_t address(Label label) const;
    // All labels have been bound: writes the distances.
    void finish();

    uint64_t here() const { return linear_ + used_; }
    uint64_t offset() const { return used_; }
    size_t room() const { return bytes_.size() - used_; }
    // Goes on at this offset, for code in several windows or on other pages.
    void seek(uint64_t offset) { used_ = offset; }
    // The same bytes will run at another linear address from here on.
    void rebase(uint64_t linear) { linear_ = linear; }
    bool overflowed() const { return overflowed_; }
    const CodeNotes& notes() const { return notes_; }
    uint8_t& byte(uint64_t offset) { return bytes_[offset]; }

private:
    struct Fixup {
        uint64_t offset;  // of the distance
        uint64_t end;     // of the instruction
        unsigned label;
        unsigned size;
    };

    void note(uint64_t offset, unsigned length);
    void add_fixup(Label label, unsigned size);

    std::span<uint8_t> bytes_;
    uint64_t linear_;
    uint64_t used_ = 0;
    bool overflowed_ = false;
    std::vector<uint64_t> labels_;  // offsets
    std::vector<Fixup> fixups_;
    CodeNotes notes_;
    ZydisDecoder decoder_{};
};

}  // namespace banyan::lockstep
