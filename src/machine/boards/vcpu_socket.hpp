// VcpuSocket: what the board has for one vCPU: its way to the buses, the signals to it, and its
// local APIC. There are two kinds: with a chip of ours (ChipSocket), and for an engine that has
// local APICs itself (EngineSocket).
#pragma once

#include "devices/chipset/engine_apic.hpp"
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

class VcpuSocket : public CpuIo {
public:
    struct Wiring {
        unsigned index = 0;
        const Clock& clock;
        TimerService& timers;
        GuestMemory& memory;
        PortBus& ports;
        MmioBus& mmio;
    };
    virtual ~VcpuSocket() = default;

    SignalRelay& signals() { return signals_; }
    // For saved states, and to reset it.
    virtual Device& apic_chip() = 0;
    // Null where the engine has the APIC.
    virtual CpuInterrupts* interrupts() { return nullptr; }
    virtual ExtIntSource* ext_int() { return nullptr; }
    // Wires the 8259s to LINT0: the wire that INTR is to drive. Before vCPUs run.
    virtual IrqLine connect_ext_int(ExtIntSource& source) = 0;
    virtual void set_virtual_wire_mode() = 0;

    uint32_t port_read(uint16_t port, unsigned size) override { return ports_.read(port, size); }
    void port_write(uint16_t port, unsigned size, uint32_t value) override {
        ports_.write(port, size, value);
    }
    uint64_t mmio_read(Gpa gpa, unsigned size) override { return mmio_.read(gpa, size); }
    void mmio_write(Gpa gpa, unsigned size, uint64_t value) override {
        mmio_.write(gpa, size, value);
    }

protected:
    explicit VcpuSocket(const Wiring& wiring) : ports_(wiring.ports), mmio_(wiring.mmio) {}

private:
    PortBus& ports_;
    MmioBus& mmio_;
    SignalRelay signals_;
};

class ChipSocket final : public VcpuSocket {
public:
    ChipSocket(const Wiring& wiring, ApicBus& apics);

    Device& apic_chip() override { return apic_; }
    CpuInterrupts* interrupts() override { return &apic_; }
    IrqLine connect_ext_int(ExtIntSource& source) override;
    void set_virtual_wire_mode() override { apic_.set_virtual_wire_mode(); }

    // The register page of a local APIC answers to its own vCPU only, and before anything else on
    // the bus.
    uint64_t mmio_read(Gpa gpa, unsigned size) override;
    void mmio_write(Gpa gpa, unsigned size, uint64_t value) override;

private:
    LocalApic apic_;
};

class EngineSocket final : public VcpuSocket, private IrqSink {
public:
    EngineSocket(const Wiring& wiring, EngineApics& apics);

    Device& apic_chip() override { return apic_; }
    ExtIntSource* ext_int() override { return ext_int_; }
    IrqLine connect_ext_int(ExtIntSource& source) override;
    void set_virtual_wire_mode() override { apic_.set_virtual_wire_mode(); }

private:
    // INTR: the vCPU looks at its level itself, and has to be told of its rise.
    void set_irq(unsigned input, bool asserted) override;

    EngineApic apic_;
    ExtIntSource* ext_int_ = nullptr;
};

}  // namespace banyan
