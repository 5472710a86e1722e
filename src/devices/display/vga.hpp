// Vga: the standard VGA as Bochs and QEMU have it, a PCI function (QEMU, standard-vga.rst): the
// registers and the window of IBM's VGA, the Bochs VBE extensions, all of the display memory in
// BAR 0, and in BAR 2 the monitor's EDID and the registers again.
//
// The legacy ports and the window at A0000h are always decoded, whatever the command register says.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "devices/display/edid.hpp"
#include "devices/display/vga_memory.hpp"
#include "devices/display/vga_registers.hpp"
#include "devices/display/vga_state.hpp"
#include "devices/pci/pci_function.hpp"
#include "vm/display.hpp"

namespace banyan {

class Vga final : public PciFunction, private PortIo, public DisplaySource {
public:
    static constexpr uint64_t kMemorySize = uint64_t{16} << 20;
    static constexpr uint64_t kWindowSize = VgaMemory::kWindowSize;
    static constexpr uint64_t kRegisterBarSize = 0x1000;

    struct Wiring {
        PciWiring pci;
        const Clock& clock;
        // Display memory, all zeroes: a power of two from 256 KiB, aligned to pages.
        std::span<std::byte> memory;
        std::span<const std::byte> rom = {};  // the VGA BIOS; empty: none
    };
    explicit Vga(const Wiring& wiring);

    std::string_view name() const override { return "vga"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    // At A0000h.
    MmioIo& window() { return window_; }

    DisplayChange update(DisplayFrame& frame) override;
    bool text(std::string& to) override;

    // For whoever plays firmware: mode 3, with the 8x16 characters of the VGA BIOS, if there is
    // one.
    void set_text_mode();

private:
    // The ranges are chips of their own on the bus.
    class Window final : public MmioIo {
    public:
        explicit Window(VgaMemory& planes) : planes_(planes) {}
        IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
        IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;

    private:
        VgaMemory& planes_;
    };
    class RegisterBar final : public MmioIo {
    public:
        explicit RegisterBar(Vga& vga) : vga_(vga) {}
        IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
        IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;

    private:
        Vga& vga_;
    };

    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;
    IoStatus dispi_port_read(uint16_t port, unsigned size, uint32_t& value) const;
    IoStatus dispi_port_write(uint16_t port, unsigned size, uint32_t value);
    uint16_t read_dispi_at(uint16_t index);
    void write_dispi_at(uint16_t index, uint16_t value);
    void clear_memory();
    Result<void> apply(StateReader& reader);

    // configuration
    const std::array<uint8_t, kEdidSize> edid_ = make_edid();
    // wiring
    const Clock& clock_;
    const std::span<std::byte> memory_;
    const std::span<const std::byte> rom_;
    // sub-devices
    VgaRegisters registers_;
    VgaMemory planes_;
    Window window_;
    RegisterBar register_bar_;
    // guest-visible state
    VgaState state_;
};

}  // namespace banyan
