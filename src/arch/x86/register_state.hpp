// RegisterState: the whole architectural state of one vCPU, in the form that every engine gets,
// sets and saves.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "arch/x86/descriptor.hpp"
#include "arch/x86/registers.hpp"

namespace banyan::x86 {

// The XSAVE area in standard format: legacy region, header, AVX and AVX-512 state (Intel SDM vol. 1
// section 13.4). Where the components lie is the processor's choice, and CPUID's to tell.
inline constexpr size_t kXsaveLegacySize = 512;
inline constexpr size_t kXsaveHeaderSize = 64;
inline constexpr size_t kXsaveAvxOffset = kXsaveLegacySize + kXsaveHeaderSize;
inline constexpr size_t kXsaveOpmaskOffset = kXsaveAvxOffset + 256;
inline constexpr size_t kXsaveZmmHighOffset = kXsaveOpmaskOffset + 64;
inline constexpr size_t kXsaveHighZmmOffset = kXsaveZmmHighOffset + 512;
inline constexpr size_t kXsaveSize = kXsaveHighZmmOffset + 1024;

enum class Activity : uint8_t { running, halted, wait_for_sipi, shutdown };

// Model-specific registers that are plain values.
struct MsrState {
    uint64_t efer = 0;
    uint64_t star = 0;
    uint64_t lstar = 0;
    uint64_t cstar = 0;
    uint64_t sfmask = 0;
    uint64_t kernel_gs_base = 0;
    uint64_t sysenter_cs = 0;
    uint64_t sysenter_esp = 0;
    uint64_t sysenter_eip = 0;
    uint64_t pat = 0x0007040600070406;  // power-on value: Intel SDM vol. 3 table 12-12
    uint64_t tsc_offset = 0;            // guest TSC = Clock::tsc() + offset
    uint64_t tsc_adjust = 0;
    uint64_t tsc_aux = 0;
    uint64_t misc_enable = 1;  // fast strings
    uint64_t spec_ctrl = 0;
    // On, write-back: as firmware leaves it, for guests that are started without one.
    uint64_t mtrr_def_type = 0x806;
    std::array<uint64_t, 16> mtrr_variable{};  // base and mask of eight ranges
    std::array<uint64_t, 11> mtrr_fixed{};
    uint64_t kvm_wall_clock = 0;
    uint64_t kvm_system_time = 0;
    uint64_t kvm_steal_time = 0;
    uint64_t kvm_poll_control = 1;
    // Asynchronous page faults, which only engines on KVM offer.
    uint64_t kvm_async_pf = 0;
    uint64_t kvm_async_pf_int = 0;
};

// What waits to be delivered or is held back.
struct EventState {
    bool interrupt_shadow = false;  // after STI, MOV SS, POP SS
    bool nmi_blocked = false;       // until IRET
    bool nmi_pending = false;
    bool init_pending = false;
    bool sipi_pending = false;
    uint8_t sipi_vector = 0;
};

struct RegisterState {
    std::array<uint64_t, 16> gpr{};
    uint64_t rip = 0;
    uint64_t rflags = kFlagsFixed;
    std::array<SegmentRegister, kSegmentCount> segments{};
    SegmentRegister ldtr{};
    SegmentRegister tr{};
    TableRegister gdtr{};
    TableRegister idtr{};
    uint64_t cr0 = 0;
    uint64_t cr2 = 0;
    uint64_t cr3 = 0;
    uint64_t cr4 = 0;
    // The local APIC's, which saves it: for debuggers, to be seen and not to be set.
    uint64_t cr8 = 0;
    std::array<uint64_t, 4>
        pdpte{};  // PAE paging: loaded with CR3 (Intel SDM vol. 3 section 4.4.1)
    uint64_t xcr0 = kXcr0X87;
    std::array<uint64_t, 4> dr{};
    uint64_t dr6 = 0xFFFF0FF0;
    uint64_t dr7 = 0x400;
    MsrState msr{};
    EventState events{};
    Activity activity = Activity::running;
    alignas(64) std::array<std::byte, kXsaveSize> xsave{};
};

// After power-on or RESET (Intel SDM vol. 3 table 10-1). `boot_processor`: others wait for a
// start-up IPI.
RegisterState power_on_state(bool boot_processor, uint32_t signature);

}  // namespace banyan::x86
