// Rewrites a guest instruction for the host: the same operation on other general registers and at
// another address. Everything else is kept byte for byte. Encodings: Intel SDM vol. 2 chapter 2.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "cpu/jit/instruction.hpp"

namespace banyan::jit {

// Where the memory operand is.
struct HostAddress {
    uint8_t base = 0;  // host register
    int32_t displacement = 0;
};

// Does the instruction do the same if the only one of its registers that is `gpr` is in memory?
// There it must be, or can be made, the operand in ModRM.rm.
bool takes_register_in_memory(const Instruction& instruction, unsigned gpr);

class HostEncoder {
public:
    // `host_of`: the host register for each guest register.
    // `in_memory`: the guest register that is the memory operand, see takes_register_in_memory();
    // else kNone.
    static constexpr unsigned kNone = 16;
    HostEncoder(const Instruction& instruction, const std::array<uint8_t, 16>& host_of,
                HostAddress address, unsigned in_memory = kNone);

    // Empty: it has no such encoding (AH to DH beside a register that needs REX).
    std::span<const uint8_t> code() const {
        return fails_ ? std::span<const uint8_t>() : std::span(code_.data(), length_);
    }

private:
    void place_operands();
    void place(const ZydisDecodedOperand& operand);
    uint8_t number_of(const ZydisDecodedOperand& operand);
    void emit_legacy();
    void emit_vex();
    void emit_evex();
    void emit_modrm();
    void emit_tail();
    void byte(unsigned value) { code_[length_++] = static_cast<uint8_t>(value); }

    const Instruction& instruction_;
    const ZydisDecodedInstruction& in_;
    const std::array<uint8_t, 16>& host_of_;
    HostAddress address_;
    unsigned in_memory_;
    bool memory_;
    bool flips_ = false;  // operands change places, as the opcode's direction bit says
    std::array<uint8_t, 24> code_{};
    unsigned length_ = 0;
    bool fails_ = false;
    bool has_modrm_;
    bool needs_rex_ = false;
    bool forbids_rex_ = false;
    unsigned reg_ = 0;
    unsigned rm_ = 0;
    unsigned vvvv_ = 0;
    std::optional<unsigned> opcode_register_;
};

}  // namespace banyan::jit
