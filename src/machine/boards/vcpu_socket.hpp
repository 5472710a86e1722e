// VcpuSocket: what the board has for one vCPU: its local APIC, its way to the buses, and the
// signals to it.
#pragma once

#include "devices/chipset/local_apic.hpp"
#include "machine/io_bus.hpp"
#include "vm/engine.hpp"

namespace banyan {

// Passes signals on to the vCPU that is plugged in. The APIC is made before the vCPU, and sends
// none until vCPUs run.
class SignalRelay final : public VcpuSignals {
public:
    void attach(VcpuSignals& vcpu) { vcpu_ = &vcpu; }

    void raise_interrupt() override;
    void raise_nmi() override;
    void raise_smi() override;
    void raise_init() override;
    void raise_sipi(uint8_t vector) override;

private:
    VcpuSignals* vcpu_ = nullptr;
};

class VcpuSocket final : public CpuIo {
public:
    struct Wiring {
        unsigned index = 0;
        const Clock& clock;
        TimerService& timers;
        ApicBus& apics;
        GuestMemory& memory;
        PortBus& ports;
        MmioBus& mmio;
    };
    explicit VcpuSocket(const Wiring& wiring);

    SignalRelay& signals() { return signals_; }
    LocalApic& apic() { return apic_; }

    uint32_t port_read(uint16_t port, unsigned size) override { return ports_.read(port, size); }
    void port_write(uint16_t port, unsigned size, uint32_t value) override {
        ports_.write(port, size, value);
    }
    // The register page of a local APIC answers to its own vCPU only, and before anything else on
    // the bus.
    uint64_t mmio_read(Gpa gpa, unsigned size) override;
    void mmio_write(Gpa gpa, unsigned size, uint64_t value) override;

private:
    PortBus& ports_;
    MmioBus& mmio_;
    SignalRelay signals_;
    LocalApic apic_;
};

}  // namespace banyan
