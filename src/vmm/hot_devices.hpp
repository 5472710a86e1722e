// HotDevices: the disks and network cards that come to a VM and go while it runs, with their back
// ends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/block/image_disk.hpp"
#include "host/posix/notifier.hpp"
#include "machine/boards/board.hpp"
#include "vmm/disk_room.hpp"
#include "vmm/networks.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

// All on the poller's thread. Outlives the board, whose devices use the back ends.
class HotDevices final : private EjectListener {
public:
    struct Vm {
        const VmConfig& config;
        Poller& poller;
        DiskRoom& room;
        std::function<void(const std::string& id)> removed;
    };
    static Result<std::unique_ptr<HotDevices>> create(Vm vm);
    ~HotDevices();
    HotDevices(const HotDevices&) = delete;
    HotDevices& operator=(const HotDevices&) = delete;

    // For the board, which is then connected.
    EjectListener& eject_listener() { return *this; }
    void connect(Board& board) { board_ = &board; }

    // An id is the caller's to choose, and that of nothing else.
    Result<void> add_disk(const std::string& id, const DiskFile& file);
    Result<void> add_net(const std::string& id, const NetChoice& choice);
    Result<void> remove(const std::string& id);

    bool has(const std::string& id) const;
    std::vector<DeviceFacts> devices() const;
    // In their order.
    struct Disk {
        const std::string& id;
        const DiskFile& file;
        ImageDisk& image;
    };
    std::vector<Disk> disks() const;

private:
    struct Device {
        std::string id;
        unsigned place = 0;  // its number on the PCI bus
        bool leaving = false;
        // of a disk
        DiskFile file;
        DiskRoomListener* room_listener = nullptr;
        std::unique_ptr<ImageDisk> image;
        // of a card
        NetChoice choice;
        Network network;
    };

    explicit HotDevices(Vm vm) : vm_(std::move(vm)) {}
    void on_device_ejected() override { ejected_->notify(); }
    void remove_ejected();
    void forget(Device& device);

    const Vm vm_;
    Board* board_ = nullptr;
    std::unique_ptr<Notifier> ejected_;  // remove_ejected(), on the poller's thread
    std::vector<std::unique_ptr<Device>> devices_;
};

// "nat", "tap=IFACE" or "switch=NAME".
std::string name_of_network(const NetChoice& choice);

}  // namespace banyan
