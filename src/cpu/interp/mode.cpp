// What follows from the control registers, the segments and the flags.
#include "cpu/interp/mode.hpp"

#include "cpu/interp/code_cache.hpp"

namespace banyan::interp {

using x86::Attributes;

namespace {

uint32_t code_bits(const Cpu& cpu) {
    const x86::SegmentRegister& cs = cpu.seg[x86::kCs];
    uint32_t bits = 0;
    if (cpu.protected_mode()) bits |= Mode::kProtected;
    if (cpu.vm86()) bits |= Mode::kVm86;
    if (cpu.long_mode()) bits |= Mode::kLongMode;
    if (cpu.cpl == 3) bits |= Mode::kUser;
    if (cpu.long_mode() && cs.attributes.get<Attributes::Long>())
        return bits | Mode::kCode64 | Mode::kFlat;
    if (cs.attributes.get<Attributes::Big>()) bits |= Mode::kCode32;
    if (cpu.seg[x86::kSs].attributes.get<Attributes::Big>()) bits |= Mode::kStack32;
    if (is_flat_code(cs) && is_flat_data(cpu.seg[x86::kDs]) && is_flat_data(cpu.seg[x86::kEs]) &&
        is_flat_data(cpu.seg[x86::kSs])) {
        bits |= Mode::kFlat;
    }
    return bits;
}

uint32_t vector_bits(const Cpu& cpu) {
    uint32_t bits = 0;
    if ((cpu.cr0 & (x86::kCr0Em | x86::kCr0Ts)) != 0) bits |= Mode::kFpuTrap;
    if ((cpu.cr0 & x86::kCr0Ts) != 0) bits |= Mode::kSseTrap;
    if ((cpu.cr0 & x86::kCr0Mp) != 0 && (cpu.cr0 & x86::kCr0Ts) != 0) bits |= Mode::kMonitorFpu;
    if ((cpu.cr0 & x86::kCr0Ne) != 0) bits |= Mode::kFpuError;
    if ((cpu.cr0 & x86::kCr0Em) != 0 || (cpu.cr4 & x86::kCr4OsFxsr) == 0) bits |= Mode::kSseInvalid;
    constexpr uint64_t kAvxState = x86::kXcr0Sse | x86::kXcr0Avx;
    constexpr uint64_t kAvx512State = kAvxState | x86::kXcr0Avx512;
    const bool vex = (cpu.cr4 & x86::kCr4OsXsave) != 0 && cpu.protected_mode() && !cpu.vm86();
    if (!vex || (cpu.xcr0 & kAvxState) != kAvxState) bits |= Mode::kAvxInvalid;
    if (!vex || (cpu.xcr0 & kAvx512State) != kAvx512State) bits |= Mode::kAvx512Invalid;
    return bits;
}

uint32_t debug_bits(const Cpu& cpu) {
    uint32_t bits = 0;
    const bool stepping = cpu.flag(x86::kTf) || cpu.flag(x86::kRf);
    bool breakpoints = false;
    for (unsigned i = 0; i < 4; ++i) {
        breakpoints |=
            ((cpu.dr7 >> (i * 2)) & 3) != 0;  // data breakpoints report after their instruction
    }
    if (stepping || breakpoints || cpu.debugger.one_by_one()) bits |= Mode::kOneInstruction;
    if (cpu.cpl == 3 && (cpu.cr0 & x86::kCr0Am) != 0 && cpu.flag(x86::kAc))
        bits |= Mode::kAlignmentCheck;
    return bits;
}

}  // namespace

void Cpu::set_rflags(uint64_t value) {
    constexpr uint64_t kSystem = x86::kTf | x86::kIf | x86::kDf | x86::kIopl | x86::kNt | x86::kRf |
                                 x86::kVm | x86::kAc | x86::kVif | x86::kVip | x86::kId;
    arith = from_eflags(value);
    system_flags = static_cast<uint32_t>(value & kSystem);
}

void Cpu::mode_changed() {
    mode.bits = code_bits(*this) | vector_bits(*this) | debug_bits(*this);
    for (unsigned i = 0; i < x86::kSegmentCount; ++i)
        base[i] = seg[i].base;
    if (code64()) {
        base[x86::kEs] = base[x86::kCs] = base[x86::kSs] = base[x86::kDs] = 0;
        stack_mask = ~uint64_t{0};
    } else {
        stack_mask = mode.has(Mode::kStack32) ? 0xFFFFFFFF : 0xFFFF;
    }
    if (cpl == 3) {
        view = View::user;
    } else {
        view = flag(x86::kAc) ? View::supervisor : system_view();
    }
    if (view == View::supervisor_smap) mode.bits |= Mode::kUserHidden;
    tlb = &tlbs[static_cast<unsigned>(view)];
    unpark_interrupt();
    context_changed();
    modes.note(*this);
}

void Cpu::context_changed() {
    CodeContexts::Key key{.mode = mode, .space = cpl == 3 ? spaces.user() : spaces.kernel()};
    if (!code64()) {
        key.segment_base = base[x86::kCs];
        key.segment_limit = seg[x86::kCs].limit;
    }
    context = contexts.name_of(key);
    modes.rename(*this);
}

void Cpu::forget_linear() {
    spaces.forget_all();
    code->forget_code_pages();
    context_changed();
}

void Cpu::flush_tlb() {
    ++counters.flushes;
    for (Tlb& t : tlbs)
        t.flush();
    forget_linear();
}

void Cpu::flush_tlb_page(uint64_t linear) {
    ++counters.page_flushes;
    for (Tlb& t : tlbs)
        t.flush_page(linear);
    if (code->may_hold_page(linear)) forget_linear();
}

void Cpu::switch_address_space(bool keep) {
    ++counters.local_flushes;
    for (Tlb& t : tlbs)
        t.flush_local();
    const bool pcids = (cr4 & x86::kCr4Pcide) != 0;
    spaces.switch_to(pcids ? static_cast<uint16_t>(cr3 & 0xFFF) : uint16_t{0}, keep);
    context_changed();
}

}  // namespace banyan::interp
