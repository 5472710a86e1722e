// The part of Vm that adds and removes devices, and resizes disks.
#include <algorithm>
#include <cctype>
#include <fmt/format.h>

#include "vmm/vm.hpp"

namespace banyan {

namespace {

constexpr size_t kLongestId = 64;

// As QEMU has them: a letter, and then letters, digits, '-', '.' and '_'.
bool is_id(const std::string& text) {
    const auto fits = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
    };
    return !text.empty() && text.size() <= kLongestId &&
           std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
           std::all_of(text.begin(), text.end(), fits);
}

tl::unexpected<Error> cannot(std::string_view what) {
    return fail(ErrorCode::unsupported, fmt::format("{}: this VM cannot do so", what));
}

tl::unexpected<Error> no_device(const std::string& id) {
    return fail(ErrorCode::not_found, fmt::format("Device '{}' not found", id));
}

}  // namespace

Result<std::string> VmApi::add_disk(const std::string&, const DiskFile&) {
    return cannot("add a disk");
}

Result<std::string> VmApi::add_net(const std::string&, const NetChoice&) {
    return cannot("add a network card");
}

Result<void> VmApi::remove_device(const std::string&) {
    return cannot("remove a device");
}

Result<void> VmApi::resize_disk(const std::string&, uint64_t) {
    return cannot("resize a disk");
}

Result<void> Vm::create_hot_devices(EventLoop& loop) {
    const auto removed = [this](const std::string& id) {
        tell({.kind = VmEvent::Kind::removed, .device = id});
    };
    TRY_ASSIGN(devices, HotDevices::create({config_, loop, *disk_room_, removed}));
    hot_devices_ = std::move(devices);
    return {};
}

// What is there already has names as well.
Result<std::string> Vm::choose_id(const std::string& wanted, std::string_view kind) const {
    const std::vector<DeviceFacts> all = devices();
    const auto taken = [&](const std::string& id) {
        return std::any_of(all.begin(), all.end(),
                           [&](const DeviceFacts& one) { return one.id == id; });
    };
    if (wanted.empty()) {
        for (unsigned n = 0;; ++n) {
            std::string id = fmt::format("{}{}", kind, n);
            if (!taken(id)) return id;
        }
    }
    if (!is_id(wanted)) {
        return fail(ErrorCode::invalid_argument,
                    "add a device: its id must begin with a letter and have letters, digits, '-', "
                    "'.' and '_' only, at most 64; give another");
    }
    if (taken(wanted)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("add a device: there is one with the id {}; give another", wanted));
    }
    return wanted;
}

Result<std::string> Vm::add_disk(const std::string& id, const DiskFile& disk) {
    TRY_ASSIGN(chosen, choose_id(id, "disk"));
    TRY(hot_devices_->add_disk(chosen, disk));
    return chosen;
}

Result<std::string> Vm::add_net(const std::string& id, const NetChoice& net) {
    TRY_ASSIGN(chosen, choose_id(id, "net"));
    TRY(hot_devices_->add_net(chosen, net));
    return chosen;
}

Result<void> Vm::remove_device(const std::string& id) {
    if (hot_devices_->has(id)) return hot_devices_->remove(id);
    for (const DeviceFacts& device : devices()) {
        if (device.id != id) continue;
        return fail(ErrorCode::unsupported,
                    fmt::format("Device '{}' was there when the VM was started, and stays; only "
                                "what was added later can be removed",
                                id));
    }
    return no_device(id);
}

std::vector<DeviceFacts> Vm::devices() const {
    std::vector<DeviceFacts> all;
    for (const DiskFacts& disk : disks()) {
        if (!hot_devices_->has(disk.name)) all.push_back({.id = disk.name, .what = disk.file});
    }
    for (size_t i = 0; i < config_.nets.size(); ++i) {
        all.push_back({.id = name_of_card(i),
                       .kind = DeviceFacts::Kind::net,
                       .what = name_of_network(config_.nets[i])});
    }
    for (DeviceFacts& device : hot_devices_->devices())
        all.push_back(std::move(device));
    return all;
}

Result<void> Vm::resize_disk(const std::string& name, uint64_t bytes) {
    constexpr uint64_t kSector = 512;
    if (bytes == 0 || bytes % kSector != 0)
        return fail(ErrorCode::invalid_argument,
                    "resize the disk: the size is no multiple of 512 bytes; round it");
    const auto grow = [&](ImageDisk& image) {
        return board_->resize_disk(image, [&] { return image.resize(bytes); });
    };
    for (const HotDevices::Disk& disk : hot_devices_->disks()) {
        if (disk.id == name) return grow(disk.image);
    }
    const std::vector<DiskFacts> all = disks();
    for (size_t i = 0; i < disks_.size(); ++i) {
        if (all[i].name == name) return grow(*disks_[i]);
    }
    return no_device(name);
}

}  // namespace banyan
