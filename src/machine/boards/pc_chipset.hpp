// PcChipset: what the registers of the pc board's chipset rule: where configuration space and power
// management are, what shadow memory shows, and where PCI's interrupt wires lead.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "devices/chipset/ich9_lpc.hpp"
#include "devices/chipset/q35_mch.hpp"
#include "machine/boards/shadow_memory.hpp"
#include "machine/io_bus.hpp"
#include "machine/irq_router.hpp"

namespace banyan {

class PcChipset final : public Q35Mch::Space, public Ich9Lpc::Board {
public:
    static constexpr unsigned kPicInputs = 16;

    struct Wiring {
        IrqRouter& router;
        GuestMemory& memory;
        std::array<IrqRouter::Output, kPicInputs> pic;          // those that PCI may use
        std::array<IrqRouter::Output, Ich9Lpc::kPirqs> ioapic;  // of each PCI wire
    };
    explicit PcChipset(const Wiring& wiring) : wiring_(wiring), shadow_(wiring.memory) {}

    // While the board is built; both windows outlive this.
    void connect(MmioWindow& ecam, PortWindow& power_management);
    IrqLine add_pirq_source(unsigned pirq);
    ShadowMemory& shadow() { return shadow_; }

    // Where configuration space is now, if it is anywhere.
    std::optional<Gpa> ecam() const;

    void map_ecam(std::optional<Gpa> base) override;
    void set_shadow(const Q35Mch::Shadow& shadow) override { shadow_.set(shadow); }
    void map_power_management(std::optional<uint16_t> first_port) override;
    void route_pirq(unsigned pirq, std::optional<unsigned> irq) override;

private:
    static constexpr uint64_t kNoEcam = ~uint64_t{0};

    const Wiring wiring_;
    ShadowMemory shadow_;
    MmioWindow* ecam_window_ = nullptr;
    PortWindow* power_management_ = nullptr;
    std::atomic<uint64_t> ecam_{kNoEcam};
    std::array<std::vector<IrqLine>, Ich9Lpc::kPirqs> sources_;
};

}  // namespace banyan
