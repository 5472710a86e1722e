// One case: code, the state before it, and what came of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "arch/x86/register_state.hpp"

namespace banyan::conformance {

// The same linear addresses natively and in the guest. Around the data lie pages that are not
// mapped.
inline constexpr uint64_t kCodePage = 0x10000000;
inline constexpr uint64_t kDataPages =
    0x20000000;  // two pages that can be written, then one that cannot
inline constexpr size_t kWritableSize = 2 * 4096;
inline constexpr size_t kDataSize = 3 * 4096;

struct Registers {
    std::array<uint64_t, 16> gpr{};
    uint64_t rip = 0;
    uint64_t rflags = 0;  // arithmetic flags and DF
    alignas(64) std::array<std::byte, x86::kXsaveSize> xsave{};
};

struct TestCase {
    std::vector<uint8_t> code;
    Registers before;
    std::vector<std::byte> data;   // kDataSize bytes
    std::string listing;           // the instructions, for people
    uint32_t undefined_flags = 0;  // arithmetic flags, after the last instruction
    bool reads_undefined_flags = false;
    uint32_t simd_flags_ignored = 0;  // of MXCSR, where #XM ends the case: exclusions.hpp
    bool any_fault_address = false;   // of a page fault: exclusions.hpp
};

// INT3 at the end of the code gives vector 3: the case ran through.
struct Outcome {
    Registers after;
    std::vector<std::byte> data;
    unsigned vector = 0;
    uint32_t error = 0;
    uint64_t fault_address = 0;  // page faults
};

}  // namespace banyan::conformance
