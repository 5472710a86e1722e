// Ich9Lpc: the bridge to the legacy devices of an ICH9, as far as firmware and kernels set it up
// (Intel I/O Controller Hub 9 data sheet, document 316972, section 13.1 "LPC interface PCI
// configuration registers"): where power management's ports are and to which inputs of the 8259s
// the PCI interrupt wires lead. The legacy devices themselves are chips of their own.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "devices/pci/pci_function.hpp"

namespace banyan {

class Ich9Lpc final : public PciFunction {
public:
    static constexpr unsigned kPirqs = 8;  // PIRQA to PIRQH
    static constexpr uint16_t kPmPorts = 128;

    // What the registers rule. Called with the device's lock held.
    class Board {
    public:
        // Nothing: the ports answer nowhere.
        virtual void map_power_management(std::optional<uint16_t> first_port) = 0;
        // The input of the 8259s that a wire drives; nothing: none. The IO-APIC sees it in any
        // case.
        virtual void route_pirq(unsigned pirq, std::optional<unsigned> irq) = 0;

    protected:
        ~Board() = default;
    };
    struct Wiring {
        PciWiring pci;
        Board& board;
    };
    explicit Ich9Lpc(const Wiring& wiring);

    // What firmware does, for a kernel that is started without one.
    void enable_power_management(uint16_t first_port);
    void set_pirq(unsigned pirq, unsigned irq);

    std::string_view name() const override { return "ich9_lpc"; }
    void reset() override;
    void save(StateWriter& writer) const override { save_config(writer); }
    Result<void> restore(StateReader& reader) override;

private:
    void on_config_written(uint16_t offset, unsigned size) override;
    std::optional<uint16_t> power_management() const;
    std::optional<unsigned> pirq(unsigned index) const;
    void apply();

    // wiring
    Board& board_;
};

}  // namespace banyan
