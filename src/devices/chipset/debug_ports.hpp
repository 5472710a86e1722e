// Ports by which test images and guests speak to Banyan itself: exit, console output, panic.
#pragma once

#include <cstdint>
#include <span>

#include "vm/backend.hpp"
#include "vm/device.hpp"
#include "vm/machine_control.hpp"

namespace banyan {

// A device without state that a guest could change.
class StatelessDevice : public Device {
public:
    void reset() override {}
    void save(StateWriter& /*writer*/) const override {}
    Result<void> restore(StateReader& /*reader*/) override { return {}; }
};

// A write ends the run; the value goes to MachineControl.
class DebugExit final : public StatelessDevice, public PortIo {
public:
    struct Wiring {
        MachineControl& machine;
        uint16_t port;  // and the three after it, so that writes of all sizes arrive whole
    };
    explicit DebugExit(const Wiring& wiring) : machine_(wiring.machine), range_{wiring.port, 4} {}

    std::string_view name() const override { return "debug_exit"; }
    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override { return {&range_, 1}; }
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

private:
    MachineControl& machine_;
    const PortRange range_;
};

// Characters written to port E9h (as Bochs and QEMU have it), or to 402h, where SeaBIOS and OVMF
// write what they do. Reads give E9h, by which guests find it.
class DebugCon final : public StatelessDevice, public PortIo {
public:
    static constexpr uint16_t kPort = 0xE9;
    static constexpr uint16_t kFirmwarePort = 0x402;

    struct Wiring {
        CharBackend& out;
    };
    explicit DebugCon(const Wiring& wiring) : out_(wiring.out) {}

    std::string_view name() const override { return "debug_con"; }
    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

private:
    CharBackend& out_;
};

// By which a guest's kernel says that it has crashed (QEMU's documented interface,
// docs/specs/pvpanic in its manual).
class PvPanic final : public StatelessDevice, public PortIo {
public:
    static constexpr uint16_t kPort = 0x505;
    static constexpr uint8_t kPanicked = 1;
    static constexpr uint8_t kCrashLoaded =
        2;  // panicked, but a crash kernel will run and save a dump

    struct Wiring {
        MachineControl& machine;
    };
    explicit PvPanic(const Wiring& wiring) : machine_(wiring.machine) {}

    std::string_view name() const override { return "pvpanic"; }
    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

private:
    MachineControl& machine_;
};

}  // namespace banyan
