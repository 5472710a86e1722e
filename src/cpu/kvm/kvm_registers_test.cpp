#include "cpu/kvm/kvm_registers.hpp"

#include <cstring>
#include <gtest/gtest.h>

namespace banyan::kvm {
namespace {

x86::SegmentRegister long_code() {
    return {0x10, {0xA09B}, 0xFFFFFFFF, 0x1000};
}

TEST(KvmRegisters, GeneralRegistersKeepTheirOrder) {
    x86::RegisterState state;
    for (size_t i = 0; i < state.gpr.size(); ++i)
        state.gpr[i] = 0x100 + i;
    state.rip = 0x1234;
    state.rflags = x86::kFlagsFixed | x86::kCf;

    kvm_regs kvms{};
    set_general(state, kvms);
    EXPECT_EQ(kvms.rcx, 0x101U);
    EXPECT_EQ(kvms.rsp, 0x104U);
    EXPECT_EQ(kvms.r15, 0x10FU);

    x86::RegisterState back;
    get_general(kvms, back);
    EXPECT_EQ(back.gpr, state.gpr);
    EXPECT_EQ(back.rip, state.rip);
    EXPECT_EQ(back.rflags, state.rflags);
}

TEST(KvmRegisters, SegmentsKeepTheirHiddenParts) {
    x86::RegisterState state = x86::power_on_state(true, 0);
    state.segments[x86::kCs] = long_code();
    state.segments[x86::kFs] = {0, {}, 0, 0};

    kvm_sregs kvms{};
    set_special(state, kvms);
    EXPECT_EQ(kvms.cs.type, 0xB);
    EXPECT_EQ(kvms.cs.l, 1);
    EXPECT_EQ(kvms.cs.g, 1);
    EXPECT_EQ(kvms.cs.unusable, 0);
    EXPECT_EQ(kvms.fs.unusable, 1);
    EXPECT_EQ(kvms.tr.type, 0xB);

    x86::RegisterState back;
    get_special(kvms, back);
    EXPECT_EQ(back.segments, state.segments);
    EXPECT_EQ(back.ldtr, state.ldtr);
    EXPECT_EQ(back.tr, state.tr);
}

TEST(KvmRegisters, WhatBelongsToTheApicStays) {
    kvm_sregs kvms{};
    kvms.apic_base = 0xFEE00900;
    kvms.cr8 = 5;

    set_special(x86::power_on_state(true, 0), kvms);

    EXPECT_EQ(kvms.apic_base, 0xFEE00900U);
    EXPECT_EQ(kvms.cr8, 5U);
    EXPECT_EQ(kvms.cr0, x86::kCr0Cd | x86::kCr0Nw | x86::kCr0Et);
}

struct alignas(kPageSize) Page {
    std::byte bytes[kPageSize] = {};
};

TEST(KvmRegisters, PdptesComeFromMemoryWherePaeIsInUse) {
    Page page;
    GuestMemory memory;
    ASSERT_TRUE(memory.add_region({0}, page.bytes, MemoryKind::ram));
    ASSERT_TRUE(memory.write_object(Gpa{0x28}, uint64_t{0x5001}));
    x86::RegisterState state;
    state.cr0 = x86::kCr0Pg | x86::kCr0Pe;
    state.cr4 = x86::kCr4Pae;
    state.cr3 = 0x20;

    get_pdptes(memory, state);
    EXPECT_EQ(state.pdpte[1], 0x5001U);

    state.cr3 = 0x10000;
    get_pdptes(memory, state);
    EXPECT_EQ(state.pdpte[1], 0U) << "outside of memory";

    state.cr3 = 0x20;
    state.msr.efer = x86::kEferLma;
    get_pdptes(memory, state);
    EXPECT_EQ(state.pdpte[1], 0U) << "long mode";
}

TEST(KvmRegisters, DebugRegistersAndXcr0) {
    x86::RegisterState state;
    state.dr = {1, 2, 3, 4};
    state.dr7 = 0x401;
    state.xcr0 = 7;
    kvm_debugregs debug{};
    kvm_xcrs xcrs{};
    set_debug(state, debug);
    set_xcr0(state, xcrs);

    x86::RegisterState back;
    get_debug(debug, back);
    get_xcr0(xcrs, back);

    EXPECT_EQ(back.dr, state.dr);
    EXPECT_EQ(back.dr6, state.dr6);
    EXPECT_EQ(back.dr7, state.dr7);
    EXPECT_EQ(back.xcr0, 7U);
}

TEST(KvmRegisters, EventsThatWaitAreKept) {
    x86::RegisterState state;
    state.events.interrupt_shadow = true;
    state.events.nmi_blocked = true;
    state.events.nmi_pending = true;
    kvm_vcpu_events events{};
    set_events(state, events);

    x86::RegisterState back;
    get_events(events, back);

    EXPECT_TRUE(back.events.interrupt_shadow);
    EXPECT_TRUE(back.events.nmi_blocked);
    EXPECT_TRUE(back.events.nmi_pending);
}

TEST(KvmRegisters, ActivitiesHaveTheirStates) {
    const auto kvms = [](x86::Activity activity, bool sipi) {
        x86::RegisterState state;
        state.activity = activity;
        state.events.sipi_pending = sipi;
        kvm_mp_state result{};
        set_activity(state, result);
        return result.mp_state;
    };
    EXPECT_EQ(kvms(x86::Activity::running, false), unsigned{KVM_MP_STATE_RUNNABLE});
    EXPECT_EQ(kvms(x86::Activity::halted, false), unsigned{KVM_MP_STATE_HALTED});
    EXPECT_EQ(kvms(x86::Activity::wait_for_sipi, false), unsigned{KVM_MP_STATE_INIT_RECEIVED});
    EXPECT_EQ(kvms(x86::Activity::wait_for_sipi, true), unsigned{KVM_MP_STATE_SIPI_RECEIVED});

    for (const auto activity :
         {x86::Activity::running, x86::Activity::halted, x86::Activity::wait_for_sipi}) {
        x86::RegisterState back;
        get_activity({.mp_state = kvms(activity, false)}, back);
        EXPECT_EQ(back.activity, activity);
    }
}

}  // namespace
}  // namespace banyan::kvm
