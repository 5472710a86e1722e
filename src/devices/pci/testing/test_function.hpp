// A PCI function for tests: a 64-bit memory BAR, a 32-bit one, an I/O BAR, and MSI-X.
#pragma once

#include <array>
#include <cstdint>

#include "devices/pci/pci_function.hpp"

namespace banyan {

class TestFunction final : public PciFunction, private MmioIo, private PortIo {
public:
    static constexpr uint16_t kVendor = 0x1234;
    static constexpr uint16_t kDevice = 0x5678;

    TestFunction(const PciWiring& wiring, MsiSink& msi, unsigned vectors = 4)
        : PciFunction({kVendor, kDevice, 0x1111, 0x2222, 0x0c0330, 7, 1}, wiring),
          msix_(vectors, msi) {
        declare_memory_bar(0, PciBarKind::memory64, 0x10000, *this);
        declare_memory_bar(2, PciBarKind::memory32, 0x1000, *this);
        declare_io_bar(3, 0x20, *this);
        const std::array<uint8_t, 6> body{0x10, 0x20, 0x30, 0x40, 0x50, 0x60};
        const std::array<uint8_t, 6> writable{0, 0, 0, 0xff, 0x0f, 0};
        vendor_capability = add_capability(pci::kCapabilityVendor, body, writable);
        add_msix(msix_, 4);
    }

    std::string_view name() const override { return "test-function"; }
    void reset() override { reset_config(); }
    void save(StateWriter& writer) const override { save_config(writer); }
    Result<void> restore(StateReader& reader) override {
        auto result = restore_config(reader);
        if (!result) reset();
        return result;
    }

    void interrupt(bool asserted) { set_intx(asserted); }
    Msix& msix() { return msix_; }

    uint16_t vendor_capability = 0;

private:
    IoStatus mmio_read(uint64_t offset, unsigned, uint64_t& value) override {
        value = offset;
        return IoStatus::ok;
    }
    IoStatus mmio_write(uint64_t, unsigned, uint64_t) override { return IoStatus::ok; }
    IoStatus port_read(uint16_t port, unsigned, uint32_t& value) override {
        value = port;
        return IoStatus::ok;
    }
    IoStatus port_write(uint16_t, unsigned, uint32_t) override { return IoStatus::ok; }

    Msix msix_;
};

}  // namespace banyan
