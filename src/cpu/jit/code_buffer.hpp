// CodeBuffer: one piece of host code being written, and the assembler that writes it.
#pragma once

#include <asmjit/x86.h>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/interp/native_memory.hpp"

namespace banyan::jit {

class CodeBuffer {
public:
    // For code that will stand at `place`.
    explicit CodeBuffer(const uint8_t* place);

    asmjit::x86::Assembler& assembler() { return assembler_; }
    // Offset of a bound label in the code.
    uint32_t offset_of(const asmjit::Label& label) const;
    // Appends the code to `memory`, whose next place must still be `place`. Null: it is full.
    const uint8_t* finish(interp::CodeMemory& memory);
    size_t size() const { return code_.codeSize(); }

private:
    asmjit::CodeHolder code_;
    asmjit::x86::Assembler assembler_;
    std::vector<uint8_t> bytes_;
};

}  // namespace banyan::jit
