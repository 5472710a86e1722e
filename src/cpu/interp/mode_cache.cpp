#include "cpu/interp/mode_cache.hpp"

#include <optional>

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

namespace {

// The cached mode that the CPU is in, if it is in one.
std::optional<CachedMode> cached_mode(const Cpu& cpu) {
    if (!cpu.code64() || cpu.flag(x86::kTf) || cpu.flag(x86::kRf)) return std::nullopt;
    if (cpu.cpl == 0) return cpu.flag(x86::kAc) ? CachedMode::kernel_open : CachedMode::kernel;
    if (cpu.cpl == 3 && !cpu.flag(x86::kAc)) return CachedMode::user;
    return std::nullopt;
}

}  // namespace

void ModeCache::rename(Cpu& cpu) {
    if (cpu.spaces.user() == user_space_ && cpu.spaces.kernel() == kernel_space_) return;
    user_space_ = cpu.spaces.user();
    kernel_space_ = cpu.spaces.kernel();
    for (unsigned i = 0; i < kCachedModes; ++i) {
        if (!entries[i].known) continue;
        const bool user = i == static_cast<unsigned>(CachedMode::user);
        entries[i].context = cpu.contexts.name_of(
            {.mode = {entries[i].bits}, .space = user ? user_space_ : kernel_space_});
    }
}

void ModeCache::note(const Cpu& cpu) {
    const Inputs now{cpu.cr0, cpu.cr4, cpu.msr.efer, cpu.xcr0, cpu.dr7, cpu.debugger.one_by_one()};
    if (!(now == inputs_)) {
        inputs_ = now;
        entries = {};
    }
    const auto mode = cached_mode(cpu);
    if (!mode) return;
    entries[static_cast<unsigned>(*mode)] = {.context = cpu.context,
                                             .tlb = cpu.tlb,
                                             .bits = cpu.mode.bits,
                                             .view = cpu.view,
                                             .known = true};
}

}  // namespace banyan::interp
