// PvEoi: KVM's paravirtual end of interrupt (Linux, Documentation/virt/kvm/x86/msr.rst,
// MSR_KVM_PV_EOI_EN). The host sets bit 0 of a word in guest memory when it injects an interrupt
// whose end nobody needs to be told at once; the guest clears it instead of writing to the EOI
// register, and the host looks at it before it next decides anything from the ISR.
//
// The word is touched only on the vCPU's own thread, as the guest is promised. Not thread-safe;
// the local APIC holds its lock.
#pragma once

#include <cstdint>

#include "vm/guest_memory.hpp"

namespace banyan {

class PvEoi {
public:
    explicit PvEoi(GuestMemory& memory) : memory_(memory) {}

    uint64_t msr() const { return msr_; }
    bool enabled() const { return (msr_ & kEnable) != 0; }
    // False: #GP(0). Nothing may be on offer.
    bool write_msr(uint64_t msr);

    // Lets the guest end the interrupt in service by clearing the bit.
    void offer();
    // An offer is out and nobody has looked since.
    bool offered() const { return offered_; }
    // Takes the offer back. True when the guest has used it: the interrupt has ended.
    bool take_back();

    void reset();
    bool restore(uint64_t msr, bool offered);

private:
    static constexpr uint64_t kEnable = 1;

    Gpa word() const { return {msr_ & ~kEnable}; }

    // wiring
    GuestMemory& memory_;

    // guest-visible state
    uint64_t msr_ = 0;
    bool offered_ = false;
};

}  // namespace banyan
