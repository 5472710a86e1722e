// EngineApics: the local APICs of an engine that has its own, as KVM has in the kernel. The board
// then makes none, and reaches them through this interface; the IO-APIC and the 8259s stay chips of
// the board ("split" in KVM's words). See docs/decisions/0013-interrupt-controllers-under-kvm.md.
//
// Threads: messages and routes from any thread; the rest while no vCPU runs.
#pragma once

#include <array>
#include <cstdint>

#include "support/result.hpp"
#include "vm/irq.hpp"

namespace banyan {

// What a local APIC holds, in the form that processors, KVM and manuals share.
struct ApicRegisters {
    uint64_t base = 0;          // IA32_APIC_BASE
    uint64_t tsc_deadline = 0;  // IA32_TSC_DEADLINE
    uint64_t pv_eoi = 0;        // MSR_KVM_PV_EOI_EN
    // Entry n stands at offset 16 * n of the memory range (Intel SDM vol. 3 table 11-1). In x2APIC
    // mode the id has all its 32 bits, and the high half of ICR is where xAPIC mode has it.
    std::array<uint32_t, 64> page{};
};

class EngineApics : public MsiSink, public LevelRoutes {
public:
    // Whom to tell of ends of interrupts, as far as routes ask for it. Once, before vCPUs run.
    virtual void connect(EoiListener& listener) = 0;

    // Of the vCPU `index`, which has been created.
    virtual Result<ApicRegisters> get_apic(unsigned index) const = 0;
    virtual Result<void> set_apic(unsigned index, const ApicRegisters& registers) = 0;

protected:
    ~EngineApics() = default;
};

}  // namespace banyan
