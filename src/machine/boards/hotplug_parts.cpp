// Devices that come and go while the guest runs.
#include <algorithm>
#include <array>

#include "devices/virtio/virtio_blk.hpp"
#include "devices/virtio/virtio_net.hpp"
#include "machine/boards/board_parts.hpp"
#include "support/assert.hpp"

namespace banyan {

// From the end of the bus, so that where they are does not depend on the other devices. Where these
// leave too few, there are fewer.
void Board::Parts::make_hotplug_places() {
    constexpr std::array kBars{
        PciSlots::BarShape{VirtioPci::kRegistersBar, VirtioPci::kRegistersSize},
        PciSlots::BarShape{VirtioPci::kMsixBar, VirtioPci::kMsixSize}};
    uint32_t devices = 0;
    while (places.size() < config.hotplug_places) {
        const auto device = pci.last_free_device();
        if (!device) break;
        const PciAddress address{*device, 0};
        auto place = std::make_unique<HotplugPlace>(services.timers, address, intx(address));
        pci.add_place(address, place->chip.slot, kBars);
        devices |= bit<uint32_t>(*device);
        places.push_back(std::move(place));
    }
    if (places.empty()) return;
    Chip& chip = add_chip();
    hotplug = &chip.make<PciHotplug>("pci_hotplug", PciHotplug::Wiring{*this, devices});
    hotplug_slot = &chip.slot;
    ports.add_device(chip.slot);
}

HotplugPlace* Board::Parts::find_place(unsigned device) {
    const auto found = std::find_if(places.begin(), places.end(), [&](const auto& place) {
        return place->address.device == device;
    });
    return found == places.end() ? nullptr : found->get();
}

Result<HotplugPlace*> Board::Parts::free_place() {
    const auto found = std::find_if(places.begin(), places.end(), [](const auto& place) {
        return place->state == HotplugPlace::State::empty;
    });
    if (found != places.end()) return found->get();
    return fail(ErrorCode::busy,
                "add a device: no place for one is free; remove another that was added, or start "
                "the VM with more devices");
}

Result<unsigned> Board::Parts::plug_disk(const DiskConfig& disk) {
    TRY_ASSIGN(place, free_place());
    place->disk = std::make_unique<LockedBlockBackend>(*disk.backend, place->chip.slot);
    auto blk = make_virtio_blk(disk, *place->disk);
    place->disk_backend = disk.backend;
    place->blk = blk.get();
    return plug(*place, "virtio-blk", std::move(blk));
}

Result<unsigned> Board::Parts::plug_net(const NetConfig& net) {
    TRY_ASSIGN(place, free_place());
    place->net = std::make_unique<LockedNetBackend>(*net.backend, place->chip.slot);
    if (networks_held) place->net->hold(true);
    return plug(*place, "virtio-net", make_virtio_net(net, *place->net));
}

// First all that answers, then the bus shows it, then the guest is told.
Result<unsigned> Board::Parts::plug(HotplugPlace& place, const char* kind,
                                    std::unique_ptr<VirtioDevice> device) {
    PciFunction& function =
        make_virtio_function(place.chip, kind, std::move(device), place.address, place.intx);
    auto connected = pci.connect(place.address, function);
    if (connected) {
        SlotLock lock(*pci_host_slot);
        connected = pci_host->add_function(place.address, function, place.chip.slot);
        if (connected) place.state = HotplugPlace::State::in_use;
    }
    if (!connected) {
        disconnect(place);
        empty(place);
        return tl::unexpected(connected.error());
    }
    {
        SlotLock lock(*hotplug_slot);
        hotplug->device_added(place.address.device);
    }
    raise_hotplug_event();
    return unsigned{place.address.device};
}

void Board::Parts::request_unplug(unsigned device) {
    const HotplugPlace* const place = find_place(device);
    if (place == nullptr || place->state != HotplugPlace::State::in_use) return;
    {
        SlotLock lock(*hotplug_slot);
        hotplug->request_removal(device);
    }
    raise_hotplug_event();
}

void Board::Parts::eject_requested() {
    if (hotplug == nullptr) return;
    SlotLock lock(*hotplug_slot);
    hotplug->eject_requested();
}

void Board::Parts::raise_hotplug_event() {
    SlotLock lock(*acpi_pm_slot);
    acpi_pm->raise_general_event(PciHotplug::kEvent);
}

// Reset takes its BARs off the buses, and waits for its back end.
void Board::Parts::disconnect(HotplugPlace& place) {
    SlotLock lock(place.chip.slot);
    place.chip.device->reset();
    pci.disconnect(place.address);
}

// On a vCPU's thread, or that which resets the board. docs/locking.md has the order of the
// locks.
void Board::Parts::on_ejected(unsigned device) {
    HotplugPlace* const place = find_place(device);
    if (place == nullptr) return;
    {
        SlotLock host_lock(*pci_host_slot);
        if (place->state != HotplugPlace::State::in_use) return;
        disconnect(*place);
        pci_host->remove_function(place->address);
        place->state = HotplugPlace::State::ejected;
    }
    if (services.ejected != nullptr) services.ejected->on_device_ejected();
}

bool Board::Parts::remove_ejected(unsigned device) {
    HotplugPlace* const place = find_place(device);
    if (place == nullptr || place->state != HotplugPlace::State::ejected) return false;
    empty(*place);
    return true;
}

// What was posted meanwhile is run before.
void Board::Parts::empty(HotplugPlace& place) {
    { SlotLock wait_for_who_has_begun(place.chip.slot); }
    pci.release(place.address);
    place.disk_backend = nullptr;
    place.blk = nullptr;
    place.chip.device.reset();
    place.chip.key.clear();
    place.disk.reset();
    place.net.reset();
    place.state = HotplugPlace::State::empty;
}

}  // namespace banyan
