// DiskRoom: a VM stands still while the host has no room for what its disks write.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "backends/block/image_disk.hpp"
#include "host/posix/notifier.hpp"
#include "vm/poller.hpp"

namespace banyan {

// The disks hold the writes and try them again by themselves: here the guest is kept from piling up
// more, and from waiting so long that it takes its disk for broken. Outlives the disks.
class DiskRoom final {
public:
    struct Vm {
        std::function<void(const std::string& disk, const std::string& why)> pause;
        std::function<void()> resume;
    };

    // Pauses and resumes on the poller's thread.
    static Result<std::unique_ptr<DiskRoom>> create(Poller& poller, Vm vm);

    // For the disk that is called so; lives as long as this object, unless it is forgotten.
    DiskRoomListener& listener(std::string disk);
    // Its disk has gone.
    void forget(const DiskRoomListener& listener);

private:
    class Disk final : public DiskRoomListener {
    public:
        Disk(DiskRoom& room, std::string name) : room_(room), name_(std::move(name)) {}
        void on_disk_full(const std::string& why) override { room_.on_disk_full(name_, why); }
        void on_disk_room() override { room_.on_disk_room(); }

    private:
        DiskRoom& room_;
        const std::string name_;
    };

    explicit DiskRoom(Vm vm) : vm_(std::move(vm)) {}
    void on_disk_full(const std::string& disk, const std::string& why);
    void on_disk_room();
    void update();

    const Vm vm_;
    std::unique_ptr<Notifier> changed_;  // update(), on the poller's thread
    std::list<Disk> disks_;
    bool paused_ = false;

    std::mutex mutex_;   // a leaf
    unsigned full_ = 0;  // disks
    std::string disk_;   // the last of them
    std::string why_;
};

}  // namespace banyan
