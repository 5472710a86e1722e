// The code of the guest's handlers.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace banyan::lockstep {

struct Handler {
    uint64_t address = 0;
    unsigned stack = 0;  // of the interrupt stack table; 0: the usual one
    bool open = false;   // user mode may use it by INT n
};

struct Handlers {
    std::array<Handler, 256> vectors;
    uint64_t syscall = 0;
};

// Writes them to `bytes`, which stand at `linear`.
Handlers assemble_handlers(std::span<uint8_t> bytes, uint64_t linear);

}  // namespace banyan::lockstep
