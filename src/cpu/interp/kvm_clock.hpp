// The KVM paravirtual clock. Source: Linux Documentation/virt/kvm/x86/msr.rst.
#pragma once

#include <cstdint>

namespace banyan::interp {

class Cpu;

// Nanoseconds = (ticks shifted left by `shift`) * mul >> 32.
struct TscScale {
    uint32_t mul = 0;
    int8_t shift = 0;
};
TscScale tsc_to_ns_scale(uint64_t tsc_hz);

// Writes this vCPU's time record if the guest has asked for one: after MSR_KVM_SYSTEM_TIME_NEW and
// after every change of the TSC offset.
void update_kvm_clock(Cpu& cpu);
// Writes the calendar time at which the clock was 0, once, for MSR_KVM_WALL_CLOCK_NEW.
void write_kvm_wall_clock(Cpu& cpu, uint64_t gpa);

}  // namespace banyan::interp
