#include "cpu/jit/code_buffer.hpp"

#include <bit>

#include "support/assert.hpp"

namespace banyan::jit {

CodeBuffer::CodeBuffer(const uint8_t* place) {
    code_.init(asmjit::Environment::host(), std::bit_cast<uint64_t>(place));
    code_.attach(&assembler_);
}

uint32_t CodeBuffer::offset_of(const asmjit::Label& label) const {
    return static_cast<uint32_t>(code_.labelOffsetFromBase(label));
}

const uint8_t* CodeBuffer::finish(interp::CodeMemory& memory) {
    BANYAN_ASSERT(code_.flatten() == asmjit::kErrorOk);
    BANYAN_ASSERT(code_.resolveUnresolvedLinks() == asmjit::kErrorOk);
    BANYAN_ASSERT(code_.relocateToBase(code_.baseAddress()) == asmjit::kErrorOk);
    bytes_.resize(code_.codeSize());
    BANYAN_ASSERT(code_.copyFlattenedData(bytes_.data(), bytes_.size()) == asmjit::kErrorOk);
    return memory.add(bytes_);
}

}  // namespace banyan::jit
