#include "cpu/interp/native_thunk.hpp"

#include <bit>

#include "cpu/interp/native_usage.hpp"

namespace banyan::interp {

ThunkCache& ThunkCache::instance() {
    static ThunkCache cache(kSharedSize);
    return cache;
}

ThunkCache::ThunkCache(size_t size) : memory_(size), common_(memory_) {
    const std::array<uint8_t, 512> room{};
    uncached_ = memory_.add(room);
}

namespace {

Thunk to_thunk(const Usage& usage) {
    Thunk thunk;
    thunk.memory_size = static_cast<uint8_t>(usage.memory_size);
    thunk.stores = usage.stores;
    thunk.uses_mxcsr = usage.mxcsr;
    thunk.uses_mmx = usage.mmx;
    thunk.is_x87 = usage.x87;
    thunk.suppresses_exceptions = usage.suppresses_exceptions;
    thunk.opmasked = usage.opmasked;
    return thunk;
}

// After code was changed through another mapping (Intel SDM vol. 3 section 8.1.3).
void serialise() {
    uint32_t leaf = 0;
    uint32_t subleaf = 0;
    __asm__ volatile("cpuid" : "+a"(leaf), "+c"(subleaf) : : "ebx", "edx", "memory");
}

}  // namespace

bool ThunkCache::describe(const Recipe& recipe, Thunk& thunk) {
    RecipeDetails details;
    if (instance().uncached_ == nullptr || !decode_recipe(recipe, details)) return false;
    thunk = to_thunk(usage_of(recipe, details));
    return true;
}

const Thunk* ThunkCache::find(const Recipe& recipe) {
    const MutexLock lock(mutex_);
    if (const auto found = thunks_.find(recipe); found != thunks_.end()) return &found->second;
    RecipeDetails details;
    if (uncached_ == nullptr || !decode_recipe(recipe, details)) return nullptr;
    const Usage usage = usage_of(recipe, details);
    const uint8_t* code = memory_.add(ThunkWriter(common_, recipe, usage, memory_.next()).code());
    if (code == nullptr) return nullptr;
    Thunk thunk = to_thunk(usage);
    thunk.code = std::bit_cast<ThunkCode>(code);
    return &thunks_.emplace(recipe, thunk).first->second;
}

bool ThunkCache::run_uncached(const Recipe& recipe, Cpu& cpu, const Op* op, void* memory) {
    RecipeDetails details;
    if (!decode_recipe(recipe, details)) return cpu.raise_ud(op);
    const Usage usage = usage_of(recipe, details);
    const MutexLock lock(mutex_);
    memory_.replace(uncached_, ThunkWriter(common_, recipe, usage, uncached_).code());
    serialise();
    Thunk thunk = to_thunk(usage);
    thunk.code = std::bit_cast<ThunkCode>(uncached_);
    return run_thunk(cpu, op, thunk, memory);
}

}  // namespace banyan::interp
