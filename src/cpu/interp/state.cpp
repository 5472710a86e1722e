// The vCPU's state from and to the form that all engines share, and reset.
#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/cpu.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/xsave.hpp"

namespace banyan::interp {

void Cpu::get_state(x86::RegisterState& state) const {
    std::copy_n(gpr.begin(), state.gpr.size(), state.gpr.begin());
    state.rip = rip;
    state.rflags = rflags();
    state.segments = seg;
    state.ldtr = ldtr;
    state.tr = tr;
    state.gdtr = gdtr;
    state.idtr = idtr;
    state.cr0 = cr0;
    state.cr2 = cr2;
    state.cr3 = cr3;
    state.cr4 = cr4;
    state.cr8 = wiring.interrupts != nullptr ? wiring.interrupts->read_cr8() : 0;
    state.pdpte = pdpte;
    state.xcr0 = xcr0;
    state.dr = dr;
    state.dr6 = dr6;
    state.dr7 = dr7;
    state.msr = msr;
    state.events = pending;
    const uint32_t waiting = events.load();
    state.events.interrupt_shadow = shadow_next;
    state.events.nmi_pending = (waiting & kEventNmi) != 0;
    state.events.init_pending = (waiting & kEventInit) != 0;
    state.events.sipi_pending = (waiting & kEventSipi) != 0;
    state.events.sipi_vector = sipi_vector.load();
    state.activity = activity;
    pack_xsave(*this, state.xsave);
}

void Cpu::set_state(const x86::RegisterState& state) {
    load_state(state);
    sipi_vector = state.events.sipi_vector;
    uint32_t waiting = kEventInterrupt;
    if (state.events.nmi_pending) waiting |= kEventNmi;
    if (state.events.init_pending) waiting |= kEventInit;
    if (state.events.sipi_pending) waiting |= kEventSipi;
    // Devices may be writing code meanwhile.
    events.fetch_and(kEventCode);
    events.fetch_or(waiting);
}

// Everything but the events that wait: other threads may be posting some.
void Cpu::load_state(const x86::RegisterState& state) {
    std::copy(state.gpr.begin(), state.gpr.end(), gpr.begin());
    gpr[kZeroRegister] = 0;
    rip = state.rip;
    set_rflags(state.rflags);
    seg = state.segments;
    ldtr = state.ldtr;
    tr = state.tr;
    gdtr = state.gdtr;
    idtr = state.idtr;
    cr0 = state.cr0;
    cr2 = state.cr2;
    cr3 = state.cr3;
    cr4 = state.cr4;
    pdpte = state.pdpte;
    xcr0 = state.xcr0;
    dr = state.dr;
    dr6 = state.dr6;
    dr7 = state.dr7;
    msr = state.msr;
    pending = state.events;
    activity = state.activity;
    unpack_xsave(*this, state.xsave);

    // The CPL is SS.DPL (Intel SDM vol. 3 section 24.4.1 keeps it so for guests).
    cpl = vm86() ? 3 : protected_mode() ? seg[x86::kSs].dpl() : uint8_t{0};
    fault = {};
    shadow_next = state.events.interrupt_shadow;
    mode_changed();
    flush_tlb();
}

// RESET, or INIT, which leaves the vector state, the MSRs and CR0's cache bits alone (Intel SDM
// vol. 3 table 10-1).
void Cpu::reset(bool init_only) {
    const bool boot_processor = wiring.index == 0;
    x86::RegisterState fresh = x86::power_on_state(boot_processor, model.signature());
    if (init_only) {
        x86::RegisterState now;
        get_state(now);
        fresh.xsave = now.xsave;
        fresh.xcr0 = now.xcr0;
        fresh.msr = now.msr;
        fresh.msr.efer = 0;
        fresh.cr0 |= now.cr0 & (x86::kCr0Cd | x86::kCr0Nw);
        load_state(fresh);
        return;
    }
    code->clear();
    set_state(fresh);
}

}  // namespace banyan::interp
