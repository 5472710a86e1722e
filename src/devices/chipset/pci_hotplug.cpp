#include "devices/chipset/pci_hotplug.hpp"

#include <bit>
#include <utility>

#include "devices/chipset/pci_hotplug_regs.hpp"
#include "devices/chipset/pci_hotplug_state.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

void PciHotplug::device_added(unsigned device) {
    BANYAN_ASSERT(device < 32 && has_bit(places_, device));
    up_ |= bit<uint32_t>(device);
    down_ &= ~bit<uint32_t>(device);  // that was for the one before it
}

void PciHotplug::request_removal(unsigned device) {
    BANYAN_ASSERT(device < 32 && has_bit(places_, device));
    down_ |= bit<uint32_t>(device);
}

bool PciHotplug::removal_requested(unsigned device) const {
    return device < 32 && has_bit(down_, device);
}

IoStatus PciHotplug::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (size != 4) return IoStatus::bad_size;
    value = 0;
    switch (static_cast<pci_hotplug::Reg32>(port - kPorts.first)) {
        case pci_hotplug::Reg32::up: value = std::exchange(up_, 0); return IoStatus::ok;
        case pci_hotplug::Reg32::down: value = down_; return IoStatus::ok;
        case pci_hotplug::Reg32::eject: return IoStatus::ok;
        case pci_hotplug::Reg32::removable: value = places_; return IoStatus::ok;
    }
    return IoStatus::no_register;
}

IoStatus PciHotplug::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 4) return IoStatus::bad_size;
    if (static_cast<pci_hotplug::Reg32>(port - kPorts.first) == pci_hotplug::Reg32::eject)
        eject(value);
    return IoStatus::ok;
}

// The guest may eject what nobody asked it to, or what is not there.
void PciHotplug::eject(uint32_t devices) {
    devices &= places_;
    up_ &= ~devices;
    down_ &= ~devices;
    for (; devices != 0; devices &= devices - 1)
        client_.on_ejected(static_cast<unsigned>(std::countr_zero(devices)));
}

void PciHotplug::reset() {
    up_ = 0;
    down_ = 0;
}

void PciHotplug::save(StateWriter& writer) const {
    writer.section(PciHotplugStateV1{up_, down_});
}

Result<void> PciHotplug::restore(StateReader& reader) {
    reset();
    TRY_ASSIGN(saved, reader.section<PciHotplugStateV1>());
    if (((saved.up | saved.down) & ~places_) != 0)
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'pci_hotplug' is impossible");
    up_ = saved.up;
    down_ = saved.down;
    return {};
}

}  // namespace banyan
