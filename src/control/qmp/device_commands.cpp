// Devices that come and go (QEMU's qapi/qdev.json, qapi/block-core.json and qapi/net.json). As in
// QEMU what a device is connected to is named first, by blockdev-add or netdev_add, and stays until
// it is taken back; but a file or interface is opened by device_add.
#include <fmt/format.h>
#include <map>
#include <memory>
#include <optional>

#include "control/qmp/server.hpp"
#include "network/packets/addresses.hpp"

namespace banyan::qmp {

namespace {

// What has been named and not taken back, each with the device that uses it ("": none).
struct BackEnds {
    struct Disk {
        DiskFile file;
        std::string user;
    };
    struct Net {
        NetChoice choice;
        std::string user;
    };
    std::map<std::string, Disk> disks;
    std::map<std::string, Net> nets;
};

constexpr size_t kMostBackEnds = 64;

bool is_there(const VmApi& vm, const std::string& id) {
    for (const DeviceFacts& device : vm.devices()) {
        if (device.id == id) return true;
    }
    return false;
}

// The member of this name, if it is text.
std::string text_in(const Json& json, const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_in(const Json* json, const char* name) {
    if (json == nullptr) return false;
    const auto found = json->find(name);
    return found != json->end() && found->is_boolean() && found->get<bool>();
}

// {"driver": "file", "filename": NAME}, and nothing else.
std::string file_of(const Arguments& a) {
    const Json* const file = a.inside("file");
    if (file == nullptr || file->size() != 2 || text_in(*file, "driver") != "file") return {};
    return text_in(*file, "filename");
}

DiskCache cache_of(const Arguments& a) {
    const Json* const cache = a.inside("cache");
    if (flag_in(cache, "no-flush")) return DiskCache::unsafe;
    return flag_in(cache, "direct") ? DiskCache::none : DiskCache::writeback;
}

Answer blockdev_add(BackEnds& back_ends, const Arguments& a) {
    const std::string name = a.string("node-name");
    const std::string driver = a.string("driver");
    if (driver != "raw" && driver != "qcow2")
        return failure(fmt::format("Parameter 'driver' does not accept value '{}'", driver));
    DiskFile file;
    file.path = file_of(a);
    if (file.path.empty()) {
        return failure(
            "Invalid parameter type for 'file', expected: an object with the driver "
            "'file' and a filename");
    }
    file.format = driver == "raw" ? ImageFormat::raw : ImageFormat::qcow2;
    file.read_only = a.boolean("read-only", false);
    file.cache = cache_of(a);
    if (back_ends.disks.size() >= kMostBackEnds) return failure("There are too many nodes");
    if (name.empty() || !back_ends.disks.emplace(name, BackEnds::Disk{file, ""}).second)
        return failure(fmt::format("Duplicate nodes with node-name='{}'", name));
    return nothing();
}

Answer blockdev_del(const VmApi& vm, BackEnds& back_ends, const Arguments& a) {
    const std::string name = a.string("node-name");
    const auto found = back_ends.disks.find(name);
    if (found == back_ends.disks.end())
        return failure(fmt::format("Failed to find node with node-name='{}'", name));
    if (is_there(vm, found->second.user)) return failure(fmt::format("Node '{}' is in use", name));
    back_ends.disks.erase(found);
    return nothing();
}

Answer netdev_add(BackEnds& back_ends, const Arguments& a) {
    const std::string id = a.string("id");
    const std::string type = a.string("type");
    NetChoice choice;
    if (type == "tap") {
        choice.kind = NetKind::tap;
        choice.name = a.string("ifname");
        if (choice.name.empty()) return failure("Parameter 'ifname' is missing");
    } else if (type != "user") {
        return failure(fmt::format("Parameter 'type' does not accept value '{}'", type));
    }
    if (back_ends.nets.size() >= kMostBackEnds)
        return failure("There are too many network devices");
    if (id.empty() || !back_ends.nets.emplace(id, BackEnds::Net{choice, ""}).second)
        return failure(fmt::format("Duplicate ID '{}' for netdev", id));
    return nothing();
}

Answer netdev_del(const VmApi& vm, BackEnds& back_ends, const Arguments& a) {
    const std::string id = a.string("id");
    const auto found = back_ends.nets.find(id);
    if (found == back_ends.nets.end())
        return failure(fmt::format("Device '{}' not found", id), ErrorClass::device_not_found);
    if (is_there(vm, found->second.user)) return failure(fmt::format("Device '{}' is in use", id));
    back_ends.nets.erase(found);
    return nothing();
}

Answer add_disk(VmApi& vm, BackEnds& back_ends, const Arguments& a) {
    const std::string drive = a.string("drive");
    const auto found = back_ends.disks.find(drive);
    if (found == back_ends.disks.end()) {
        return failure(
            fmt::format("Property 'virtio-blk-device.drive' can't find value '{}'", drive));
    }
    if (is_there(vm, found->second.user))
        return failure(fmt::format("Drive '{}' is already in use by another block device", drive));
    DiskFile file = found->second.file;
    file.serial = a.string("serial");
    const auto added = vm.add_disk(a.string("id"), file);
    if (!added) return failure(added.error());
    found->second.user = *added;
    return nothing();
}

Answer add_net(VmApi& vm, BackEnds& back_ends, const Arguments& a) {
    const std::string netdev = a.string("netdev");
    const auto found = back_ends.nets.find(netdev);
    if (found == back_ends.nets.end()) {
        return failure(
            fmt::format("Property 'virtio-net-device.netdev' can't find value '{}'", netdev));
    }
    if (is_there(vm, found->second.user))
        return failure(
            fmt::format("Property 'virtio-net-device.netdev' can't take value '{}', it's "
                        "in use",
                        netdev));
    NetChoice choice = found->second.choice;
    if (a.has("mac")) {
        const auto mac = parse_mac(a.string("mac"));
        if (!mac) {
            return failure(fmt::format("Property 'virtio-net-device.mac' doesn't take value '{}'",
                                       a.string("mac")));
        }
        choice.mac = mac->bytes;
    }
    const auto added = vm.add_net(a.string("id"), choice);
    if (!added) return failure(added.error());
    found->second.user = *added;
    return nothing();
}

Answer device_add(VmApi& vm, BackEnds& back_ends, const Arguments& a) {
    const std::string driver = a.string("driver");
    if (driver == "virtio-blk-pci") return add_disk(vm, back_ends, a);
    if (driver == "virtio-net-pci") return add_net(vm, back_ends, a);
    return failure(fmt::format("'{}' is not a valid device model name", driver));
}

Answer failed_with(const Error& error) {
    const bool unknown = error.code() == ErrorCode::not_found;
    return failure(std::string(error.text()),
                   unknown ? ErrorClass::device_not_found : ErrorClass::generic);
}

Answer block_resize(VmApi& vm, const BackEnds& back_ends, const Arguments& a) {
    std::string name = a.string("device");
    if (const auto node = back_ends.disks.find(a.string("node-name"));
        node != back_ends.disks.end())
        name = node->second.user;
    const int64_t size = a.integer("size");
    if (size < 0) return failure("Parameter 'size' expects a >0 size");
    const auto resized = vm.resize_disk(name, static_cast<uint64_t>(size));
    return resized ? Answer(nothing()) : failed_with(resized.error());
}

}  // namespace

void add_device_commands(Commands& commands, VmApi& vm) {
    const auto back_ends = std::make_shared<BackEnds>();
    commands.add({.name = "blockdev-add",
                  .arguments = {{"driver"},
                                {"node-name"},
                                {"file", Type::object},
                                {"read-only", Type::boolean, true},
                                {"cache", Type::object, true}},
                  .run = [back_ends](const Arguments& a) { return blockdev_add(*back_ends, a); }});
    commands.add(
        {.name = "blockdev-del",
         .arguments = {{"node-name"}},
         .run = [back_ends, &vm](const Arguments& a) { return blockdev_del(vm, *back_ends, a); }});
    commands.add({.name = "netdev_add",
                  .arguments = {{"type"}, {"id"}, {"ifname", Type::string, true}},
                  .run = [back_ends](const Arguments& a) { return netdev_add(*back_ends, a); }});
    commands.add(
        {.name = "netdev_del", .arguments = {{"id"}}, .run = [back_ends, &vm](const Arguments& a) {
             return netdev_del(vm, *back_ends, a);
         }});
    commands.add(
        {.name = "device_add",
         .arguments = {{"driver"},
                       {"id", Type::string, true},
                       {"drive", Type::string, true},
                       {"serial", Type::string, true},
                       {"netdev", Type::string, true},
                       {"mac", Type::string, true}},
         .run = [back_ends, &vm](const Arguments& a) { return device_add(vm, *back_ends, a); }});
    commands.add(
        {.name = "device_del", .arguments = {{"id"}}, .run = [&vm](const Arguments& a) -> Answer {
             const auto asked = vm.remove_device(a.string("id"));
             return asked ? Answer(nothing()) : failed_with(asked.error());
         }});
    commands.add(
        {.name = "block_resize",
         .arguments = {{"device", Type::string, true},
                       {"node-name", Type::string, true},
                       {"size", Type::integer}},
         .run = [back_ends, &vm](const Arguments& a) { return block_resize(vm, *back_ends, a); }});
}

}  // namespace banyan::qmp
