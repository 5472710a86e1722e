#include "vmm/hot_devices.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace banyan {

Result<std::unique_ptr<HotDevices>> HotDevices::create(Vm vm) {
    Poller& poller = vm.poller;
    std::unique_ptr<HotDevices> devices(new HotDevices(std::move(vm)));
    TRY_ASSIGN(ejected, Notifier::create(poller, [raw = devices.get()] { raw->remove_ejected(); }));
    devices->ejected_ = std::move(ejected);
    return devices;
}

HotDevices::~HotDevices() {
    for (const auto& device : devices_)
        forget(*device);
}

Result<void> HotDevices::add_disk(const std::string& id, const DiskFile& file) {
    TRY(validate_added(file));
    auto device = std::make_unique<Device>();
    device->id = id;
    device->file = file;
    device->room_listener = &vm_.room.listener(id);
    const auto plug = [&]() -> Result<unsigned> {
        TRY_ASSIGN(image, ImageDisk::open({.path = file.path,
                                           .format = file.format,
                                           .read_only = file.read_only,
                                           .cache = file.cache,
                                           .limits = file.limits,
                                           .room_listener = device->room_listener}));
        device->image = std::move(image);
        return board_->plug_disk({device->image.get(), file.serial});
    };
    const auto place = plug();
    if (!place) {
        forget(*device);
        return tl::unexpected(place.error());
    }
    device->place = *place;
    devices_.push_back(std::move(device));
    return {};
}

Result<void> HotDevices::add_net(const std::string& id, const NetChoice& choice) {
    TRY(validate_added(choice));
    auto device = std::make_unique<Device>();
    device->id = id;
    device->choice = choice;
    const auto mac = mac_address(vm_.config.name, choice, id);
    TRY_ASSIGN(network, open_network(vm_.config.name, choice, mac, vm_.poller));
    device->network = std::move(network);
    TRY_ASSIGN(place, board_->plug_net({.backend = device->network.backend.get(),
                                        .mac = mac,
                                        .mtu = device->network.mtu}));
    device->place = place;
    devices_.push_back(std::move(device));
    return {};
}

Result<void> HotDevices::remove(const std::string& id) {
    for (const auto& device : devices_) {
        if (device->id != id) continue;
        device->leaving = true;
        board_->request_unplug(device->place);
        return {};
    }
    return fail(ErrorCode::not_found, fmt::format("Device '{}' not found", id));
}

// The guest may have let go of what nobody asked it to.
void HotDevices::remove_ejected() {
    for (auto at = devices_.begin(); at != devices_.end();) {
        if (!board_->remove_ejected((*at)->place)) {
            ++at;
            continue;
        }
        const std::string id = (*at)->id;
        forget(**at);
        at = devices_.erase(at);
        vm_.removed(id);
    }
}

// The disk's listener goes after the disk.
void HotDevices::forget(Device& device) {
    if (device.room_listener == nullptr) return;
    device.image.reset();
    vm_.room.forget(*device.room_listener);
}

bool HotDevices::has(const std::string& id) const {
    return std::any_of(devices_.begin(), devices_.end(),
                       [&](const auto& device) { return device->id == id; });
}

std::vector<DeviceFacts> HotDevices::devices() const {
    std::vector<DeviceFacts> all;
    for (const auto& device : devices_) {
        const bool is_disk = device->image != nullptr;
        all.push_back(
            {.id = device->id,
             .kind = is_disk ? DeviceFacts::Kind::disk : DeviceFacts::Kind::net,
             .state = device->leaving ? DeviceFacts::State::leaving : DeviceFacts::State::added,
             .what = is_disk ? device->file.path : name_of_network(device->choice)});
    }
    return all;
}

std::vector<HotDevices::Disk> HotDevices::disks() const {
    std::vector<Disk> all;
    for (const auto& device : devices_) {
        if (device->image != nullptr) all.push_back({device->id, device->file, *device->image});
    }
    return all;
}

std::string name_of_network(const NetChoice& choice) {
    switch (choice.kind) {
        case NetKind::nat: return "nat";
        case NetKind::passt: return "passt";
        case NetKind::network_switch: return fmt::format("switch={}", choice.name);
        case NetKind::tap: return fmt::format("tap={}", choice.name);
    }
    return {};
}

}  // namespace banyan
