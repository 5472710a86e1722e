#include "machine/boards/pc_chipset.hpp"

namespace banyan {

void PcChipset::connect(MmioWindow& ecam, PortWindow& power_management) {
    ecam_window_ = &ecam;
    power_management_ = &power_management;
}

IrqLine PcChipset::add_pirq_source(unsigned pirq) {
    const IrqLine line = wiring_.router.add_source({wiring_.ioapic[pirq]});
    sources_[pirq].push_back(line);
    return line;
}

std::optional<Gpa> PcChipset::ecam() const {
    const uint64_t base = ecam_.load();
    if (base == kNoEcam) return std::nullopt;
    return Gpa{base};
}

void PcChipset::map_ecam(std::optional<Gpa> base) {
    ecam_.store(base ? base->value : kNoEcam);
    if (ecam_window_ == nullptr) return;
    if (base) {
        ecam_window_->map(*base);
    } else {
        ecam_window_->unmap();
    }
}

void PcChipset::map_power_management(std::optional<uint16_t> first_port) {
    if (power_management_ == nullptr) return;
    // A base of 0 is none: the ports of the DMA controller are there.
    if (first_port.value_or(0) != 0) {
        (void)power_management_->map(*first_port);
    } else {
        power_management_->unmap();
    }
}

void PcChipset::route_pirq(unsigned pirq, std::optional<unsigned> irq) {
    std::array<IrqRouter::Output, 2> outputs{wiring_.ioapic[pirq]};
    if (irq) outputs[1] = wiring_.pic[*irq];
    for (const IrqLine line : sources_[pirq])
        wiring_.router.reroute(line, std::span(outputs).first(irq ? 2 : 1));
}

}  // namespace banyan
