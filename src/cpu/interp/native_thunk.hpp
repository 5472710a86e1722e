// Thunks: small generated functions, each of which does one instruction (recipe) on a Cpu by
// executing it on the host, and then goes on with the next Op. And the process-wide cache of them.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "cpu/interp/cpu.hpp"
#include "cpu/interp/native_memory.hpp"
#include "cpu/interp/native_recipe.hpp"
#include "cpu/interp/native_writer.hpp"
#include "cpu/interp/op.hpp"
#include "support/mutex.hpp"

namespace banyan::interp {

// A handler that is also given the host address of its memory operand.
using ThunkCode = void (*)(Cpu& cpu, const Op* op, void* memory);

struct Thunk {
    ThunkCode code = nullptr;
    uint8_t memory_size = 0;  // of the memory operand; 0: none
    bool stores = false;      // the memory operand is written
    bool uses_mxcsr = false;  // may raise SIMD floating-point exceptions
    bool uses_mmx = false;
    bool is_x87 = false;
    bool suppresses_exceptions = false;  // there are none, whatever MXCSR says
    OpmaskedMemory opmasked{};
};

// Op::extra of every Op that runs a thunk points to a Thunk: of the cache, or the first member of
// an X87Thunk.
inline const Thunk& thunk_of(const Op* op) {
    return *static_cast<const Thunk*>(op->extra);
}

// The x87 remembers its last instruction.
struct X87Thunk {
    Thunk thunk;
    uint64_t rip = 0;
    uint16_t opcode = 0;
};

class ThunkCache {
public:
    // The one that all vCPUs share; made at the first call. A process that may make no memory
    // executable later calls it early.
    static ThunkCache& instance();

    explicit ThunkCache(size_t size);

    // Makes the thunk if need be. Null: the cache is full.
    const Thunk* find(const Recipe& recipe);
    // Everything about the recipe's thunk but its code. False: no code can be generated at all.
    [[nodiscard]] static bool describe(const Recipe& recipe, Thunk& thunk);
    // Runs a recipe that found no room in the cache, writing its code anew each time. False: a
    // fault is pending.
    [[nodiscard]] bool run_uncached(const Recipe& recipe, Cpu& cpu, const Op* op, void* memory);

private:
    static constexpr size_t kSharedSize = 64U << 20;

    Mutex mutex_;
    CodeMemory memory_;
    CommonCode common_;
    const uint8_t* uncached_ = nullptr;  // room for one
    std::unordered_map<Recipe, Thunk, RecipeHash> thunks_
        GUARDED_BY(mutex_);  // never forgets: Ops point into it
};

// What thunks call when they cannot go on by themselves. Each finishes the instruction and
// continues, or raises a fault.
void thunk_unmasked(Cpu& cpu, const Op* op, void* memory);
void thunk_x87_error(Cpu& cpu, const Op* op, void* memory);
void thunk_enter_mmx(Cpu& cpu, const Op* op, void* memory);  // TOP is not 0, or the state is live
void thunk_x87_settle_next(Cpu& cpu, const Op* op, void* memory);  // after an x87 instruction

// Runs a thunk without going on with the next Op. `memory` is not touched unless it returns true;
// false: a fault is pending.
[[nodiscard]] bool run_thunk(Cpu& cpu, const Op* op, const Thunk& thunk, void* memory);

}  // namespace banyan::interp
