// Thunks: small generated functions, each of which does one instruction (recipe) on a Cpu by
// executing it on the host, and then goes on with the next Op. And the process-wide cache of them.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "cpu/interp/cpu.hpp"
#include "cpu/interp/native_memory.hpp"
#include "cpu/interp/native_recipe.hpp"
#include "cpu/interp/op.hpp"
#include "support/mutex.hpp"

namespace banyan::interp {

// A handler that is also given the host address of its memory operand.
using ThunkCode = void (*)(Cpu& cpu, const Op* op, void* memory);

struct Thunk {
    ThunkCode code = nullptr;
    // x87 only: entered with the guest's x87 state in the host's registers.
    ThunkCode live_code = nullptr;
    uint8_t memory_size = 0;  // of the memory operand; 0: none
    bool stores = false;      // the memory operand is written
    bool uses_mxcsr = false;  // may raise SIMD floating-point exceptions
    bool uses_mmx = false;
    bool is_x87 = false;
};

// Op::extra of every Op that runs a thunk points to a Thunk: of the cache, or the first member of
// an X87Thunk.
inline const Thunk& thunk_of(const Op* op) {
    return *static_cast<const Thunk*>(op->extra);
}

// The x87 remembers its last instruction.
struct X87Thunk {
    Thunk thunk;
    Handler live_handler = nullptr;
    uint64_t rip = 0;
    uint16_t opcode = 0;
};

// A free bit of Op::bits: this Op has an X87Thunk, and may be entered by its live_handler.
inline constexpr uint16_t kX87Chain = 1U << 15;

class ThunkCache {
public:
    // The one that all vCPUs share.
    static ThunkCache& instance();

    explicit ThunkCache(size_t size);

    // Makes the thunk if need be. Null: the cache is full.
    const Thunk* find(const Recipe& recipe);
    // Everything about the recipe's thunk but its code. False: no code can be generated at all.
    [[nodiscard]] static bool describe(const Recipe& recipe, Thunk& thunk);
    // Runs a recipe that found no room in the cache, writing its code anew each time. False: a
    // fault is pending.
    [[nodiscard]] bool run_uncached(const Recipe& recipe, Cpu& cpu, const Op* op, void* memory);

    // Takes the guest's x87 state from the host's registers into cpu, and leaves the host's as the
    // ABI wants them.
    void spill_x87(Cpu& cpu) const { spill_x87_(cpu); }

private:
    static constexpr size_t kSharedSize = 64U << 20;

    // Places in the code that all thunks share.
    struct Common {
        const uint8_t* constants = nullptr;  // host MXCSR, host FCW
        const uint8_t* unmasked = nullptr;   // go on in C++: an SIMD exception is not masked,
        const uint8_t* x87_error = nullptr;  // an x87 exception is pending,
        const uint8_t* enter_mmx = nullptr;  // TOP is not 0
        const uint8_t* x87_next = nullptr;   // the end of x87 thunks
    };
    void make_common();

    Mutex mutex_;
    CodeMemory memory_;
    Common common_;
    void (*spill_x87_)(Cpu& cpu) = nullptr;
    const uint8_t* uncached_ = nullptr;  // room for one
    std::unordered_map<Recipe, Thunk, RecipeHash> thunks_
        GUARDED_BY(mutex_);  // never forgets: Ops point into it

    friend class ThunkWriter;
};

// What thunks call when they cannot go on by themselves. Each finishes the instruction and
// continues, or raises a fault.
void thunk_unmasked(Cpu& cpu, const Op* op, void* memory);
void thunk_x87_error(Cpu& cpu, const Op* op, void* memory);
void thunk_enter_mmx(Cpu& cpu, const Op* op, void* memory);

// Runs a thunk without going on with the next Op. `memory` is not touched unless it returns true;
// false: a fault is pending.
[[nodiscard]] bool run_thunk(Cpu& cpu, const Op* op, const Thunk& thunk, void* memory);

}  // namespace banyan::interp
