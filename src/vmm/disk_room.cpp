#include "vmm/disk_room.hpp"

#include "support/log.hpp"

namespace banyan {

Result<std::unique_ptr<DiskRoom>> DiskRoom::create(Poller& poller, Vm vm) {
    std::unique_ptr<DiskRoom> room(new DiskRoom(std::move(vm)));
    TRY_ASSIGN(changed, Notifier::create(poller, [raw = room.get()] { raw->update(); }));
    room->changed_ = std::move(changed);
    return room;
}

DiskRoomListener& DiskRoom::listener(std::string disk) {
    return disks_.emplace_back(*this, std::move(disk));
}

void DiskRoom::forget(const DiskRoomListener& listener) {
    disks_.remove_if([&](const Disk& disk) { return &disk == &listener; });
}

void DiskRoom::on_disk_full(const std::string& disk, const std::string& why) {
    {
        const std::lock_guard lock(mutex_);
        ++full_;
        disk_ = disk;
        why_ = why;
    }
    changed_->notify();
}

void DiskRoom::on_disk_room() {
    {
        const std::lock_guard lock(mutex_);
        --full_;
    }
    changed_->notify();
}

void DiskRoom::update() {
    std::string disk;
    std::string why;
    {
        const std::lock_guard lock(mutex_);
        if ((full_ != 0) == paused_) return;
        disk = disk_;
        why = why_;
    }
    paused_ = !paused_;
    if (paused_) {
        LOG_WARNING("vm", "%s; the VM is paused and goes on by itself when there is room",
                    why.c_str());
        vm_.pause(disk, why);
    } else {
        vm_.resume();
        LOG_WARNING("vm", "there is room for its disks again: the VM goes on");
    }
}

}  // namespace banyan
