// The machine code of thunks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/interp/native_assembler.hpp"
#include "cpu/interp/native_memory.hpp"
#include "cpu/interp/native_recipe.hpp"
#include "cpu/interp/native_usage.hpp"

namespace banyan::interp {

// What all thunks share.
class CommonCode {
public:
    explicit CommonCode(CodeMemory& memory);

    // Called by thunks: bring guest state into the host's registers.
    const uint8_t* enter_mxcsr() const { return enter_mxcsr_; }
    const uint8_t* enter_x87() const { return enter_x87_; }
    // Jumped to: go on in C++ (native_thunk.hpp).
    const uint8_t* x87_error() const { return x87_error_; }
    const uint8_t* enter_mmx() const { return enter_mmx_; }
    // The end of x87 thunks.
    const uint8_t* x87_next() const { return x87_next_; }

private:
    const uint8_t* unmasked_ = nullptr;
    const uint8_t* x87_error_ = nullptr;
    const uint8_t* enter_mmx_ = nullptr;
    const uint8_t* settle_next_ = nullptr;
    const uint8_t* enter_mxcsr_ = nullptr;
    const uint8_t* enter_x87_ = nullptr;
    const uint8_t* x87_next_ = nullptr;
};

// Writes the thunk of a recipe for the address `place`. A thunk is entered with RDI = Cpu, RSI =
// Op, RDX = host address of the memory operand, and leaves by jumping to the next Op's handler in
// the same way.
class ThunkWriter {
public:
    ThunkWriter(const CommonCode& common, const Recipe& recipe, const Usage& usage,
                const uint8_t* place);

    std::span<const uint8_t> code() const { return a_.code(); }

private:
    void write_plain();
    void write_x87();
    void check_mmx();
    void load_vectors();
    void load_vector(unsigned i, unsigned size);
    void load_others();
    void store_registers();
    void store_vector(unsigned i, unsigned size);
    void clear_zmm_high();
    void load_flags();
    void store_flags();
    bool uses_rax() const;

    const CommonCode& common_;
    const Recipe& recipe_;
    const Usage& use_;
    Assembler a_;
};

}  // namespace banyan::interp
