#include "cpu/kvm/kvm_registers.hpp"

#include <array>

namespace banyan::kvm {

namespace {

using x86::Activity;
using x86::Attributes;
using x86::RegisterState;

// In encoding order.
constexpr std::array kGeneral = {&kvm_regs::rax, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rbx,
                                 &kvm_regs::rsp, &kvm_regs::rbp, &kvm_regs::rsi, &kvm_regs::rdi,
                                 &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
                                 &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};
constexpr std::array kSegments = {&kvm_sregs::es, &kvm_sregs::cs, &kvm_sregs::ss,
                                  &kvm_sregs::ds, &kvm_sregs::fs, &kvm_sregs::gs};

x86::SegmentRegister to_ours(const kvm_segment& from) {
    x86::SegmentRegister to{from.selector, {}, from.limit, from.base};
    if (from.unusable != 0 || from.present == 0) return to;
    to.attributes.set<Attributes::Type>(from.type);
    to.attributes.set<Attributes::CodeOrData>(from.s != 0);
    to.attributes.set<Attributes::Dpl>(from.dpl);
    to.attributes.set<Attributes::Present>(true);
    to.attributes.set<Attributes::Available>(from.avl != 0);
    to.attributes.set<Attributes::Long>(from.l != 0);
    to.attributes.set<Attributes::Big>(from.db != 0);
    to.attributes.set<Attributes::Granular>(from.g != 0);
    return to;
}

kvm_segment to_kvm(const x86::SegmentRegister& from) {
    const Attributes a = from.attributes;
    kvm_segment to{};
    to.base = from.base;
    to.limit = from.limit;
    to.selector = from.selector;
    to.type = a.get<Attributes::Type>();
    to.present = a.get<Attributes::Present>();
    to.dpl = a.get<Attributes::Dpl>();
    to.db = a.get<Attributes::Big>();
    to.s = a.get<Attributes::CodeOrData>();
    to.l = a.get<Attributes::Long>();
    to.g = a.get<Attributes::Granular>();
    to.avl = a.get<Attributes::Available>();
    to.unusable = !a.get<Attributes::Present>();
    return to;
}

x86::TableRegister to_ours(const kvm_dtable& from) {
    return {from.base, from.limit};
}

kvm_dtable to_kvm(const x86::TableRegister& from) {
    return {.base = from.base, .limit = from.limit, .padding = {}};
}

}  // namespace

void get_general(const kvm_regs& from, RegisterState& to) {
    for (size_t i = 0; i < kGeneral.size(); ++i)
        to.gpr[i] = from.*kGeneral[i];
    to.rip = from.rip;
    to.rflags = from.rflags;
}

void set_general(const RegisterState& from, kvm_regs& to) {
    for (size_t i = 0; i < kGeneral.size(); ++i)
        to.*kGeneral[i] = from.gpr[i];
    to.rip = from.rip;
    to.rflags = from.rflags;
}

void get_special(const kvm_sregs& from, RegisterState& to) {
    for (size_t i = 0; i < kSegments.size(); ++i)
        to.segments[i] = to_ours(from.*kSegments[i]);
    to.ldtr = to_ours(from.ldt);
    to.tr = to_ours(from.tr);
    to.gdtr = to_ours(from.gdt);
    to.idtr = to_ours(from.idt);
    to.cr0 = from.cr0;
    to.cr2 = from.cr2;
    to.cr3 = from.cr3;
    to.cr4 = from.cr4;
    to.cr8 = from.cr8;
    to.msr.efer = from.efer;
}

void set_special(const RegisterState& from, kvm_sregs& to) {
    for (size_t i = 0; i < kSegments.size(); ++i)
        to.*kSegments[i] = to_kvm(from.segments[i]);
    to.ldt = to_kvm(from.ldtr);
    to.tr = to_kvm(from.tr);
    to.gdt = to_kvm(from.gdtr);
    to.idt = to_kvm(from.idtr);
    to.cr0 = from.cr0;
    to.cr2 = from.cr2;
    to.cr3 = from.cr3;
    to.cr4 = from.cr4;
    to.efer = from.msr.efer;
}

void get_pdptes(const GuestMemory& memory, RegisterState& state) {
    state.pdpte = {};
    const bool pae = (state.cr0 & x86::kCr0Pg) != 0 && (state.cr4 & x86::kCr4Pae) != 0 &&
                     (state.msr.efer & x86::kEferLma) == 0;
    if (!pae) return;
    const Gpa table{state.cr3 & 0xFFFF'FFE0};
    // Outside RAM there are none to read.
    if (!memory.read(table, std::as_writable_bytes(std::span(state.pdpte)))) state.pdpte = {};
}

void get_debug(const kvm_debugregs& from, RegisterState& to) {
    for (size_t i = 0; i < to.dr.size(); ++i)
        to.dr[i] = from.db[i];
    to.dr6 = from.dr6;
    to.dr7 = from.dr7;
}

void set_debug(const RegisterState& from, kvm_debugregs& to) {
    to = {};
    for (size_t i = 0; i < from.dr.size(); ++i)
        to.db[i] = from.dr[i];
    to.dr6 = from.dr6;
    to.dr7 = from.dr7;
}

void get_xcr0(const kvm_xcrs& from, RegisterState& to) {
    to.xcr0 = x86::kXcr0X87;
    for (uint32_t i = 0; i < from.nr_xcrs && i < KVM_MAX_XCRS; ++i) {
        if (from.xcrs[i].xcr == 0) to.xcr0 = from.xcrs[i].value;
    }
}

void set_xcr0(const RegisterState& from, kvm_xcrs& to) {
    to = {};
    to.nr_xcrs = 1;
    to.xcrs[0].value = from.xcr0;
}

void get_events(const kvm_vcpu_events& from, RegisterState& to) {
    to.events = {};
    to.events.interrupt_shadow = from.interrupt.shadow != 0;
    to.events.nmi_blocked = from.nmi.masked != 0;
    to.events.nmi_pending = from.nmi.pending != 0 || from.nmi.injected != 0;
}

void set_events(const RegisterState& from, kvm_vcpu_events& to) {
    to = {};
    to.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
    to.interrupt.shadow = from.events.interrupt_shadow ? KVM_X86_SHADOW_INT_STI : 0;
    to.nmi.masked = from.events.nmi_blocked;
    to.nmi.pending = from.events.nmi_pending;
    if (!from.events.sipi_pending) return;
    to.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
    to.sipi_vector = from.events.sipi_vector;
}

void get_activity(const kvm_mp_state& from, RegisterState& to) {
    switch (from.mp_state) {
        case KVM_MP_STATE_HALTED: to.activity = Activity::halted; break;
        case KVM_MP_STATE_UNINITIALIZED:
        case KVM_MP_STATE_INIT_RECEIVED:
        case KVM_MP_STATE_SIPI_RECEIVED: to.activity = Activity::wait_for_sipi; break;
        default: to.activity = Activity::running; break;
    }
}

void set_activity(const RegisterState& from, kvm_mp_state& to) {
    switch (from.activity) {
        case Activity::running:
        case Activity::shutdown: to.mp_state = KVM_MP_STATE_RUNNABLE; break;
        case Activity::halted: to.mp_state = KVM_MP_STATE_HALTED; break;
        case Activity::wait_for_sipi:
            to.mp_state =
                from.events.sipi_pending ? KVM_MP_STATE_SIPI_RECEIVED : KVM_MP_STATE_INIT_RECEIVED;
            break;
    }
}

}  // namespace banyan::kvm
