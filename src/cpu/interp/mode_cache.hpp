// ModeCache: what Cpu::mode_changed() has found for the modes between which a 64-bit kernel goes to
// and fro (user code, its own, its own with EFLAGS.AC), so that generated code changes to one of
// them by copying it.
//
// Nothing is computed here: an entry is what mode_changed() came to when the CPU was in that mode,
// and is forgotten when something else that mode_changed() looks at has another value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cpu/interp/op.hpp"
#include "cpu/interp/tlb.hpp"

namespace banyan::interp {

class Cpu;

// 64-bit code with TF, RF and VM clear.
enum class CachedMode : uint8_t {
    user,        // CPL 3, AC clear
    kernel,      // CPL 0, AC clear
    kernel_open  // CPL 0, AC set: SMAP does not hide user pages
};
inline constexpr unsigned kCachedModes = 3;

struct ModeCache {
    struct Entry {
        uint64_t context = 0;
        Tlb* tlb = nullptr;
        uint32_t bits = 0;  // of the Mode
        View view{};
        bool known = false;
    };

    // Part of Cpu::mode_changed(), when all that it derives is true.
    void note(const Cpu& cpu);
    // Part of Cpu::context_changed(): address spaces change more often than all else, and only the
    // names of contexts with them.
    void rename(Cpu& cpu);

    std::array<Entry, kCachedModes> entries{};

private:
    // What mode_changed() looks at besides what CachedMode says; IF makes the event mask alone.
    struct Inputs {
        uint64_t cr0 = 0, cr4 = 0, efer = 0, xcr0 = 0, dr7 = 0;
        bool debugged = false;  // instruction by instruction
        friend bool operator==(const Inputs&, const Inputs&) = default;
    };

    Inputs inputs_;
    uint64_t user_space_ = 0;
    uint64_t kernel_space_ = 0;
};

}  // namespace banyan::interp
