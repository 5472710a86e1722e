// DiskRoom: a VM stands still while the host has no room for what its disks write.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "backends/block/image_disk.hpp"
#include "host/posix/notifier.hpp"
#include "vm/poller.hpp"

namespace banyan {

// The disks hold the writes and try them again by themselves: here the guest is kept from piling up
// more, and from waiting so long that it takes its disk for broken. Outlives the disks.
class DiskRoom final : public DiskRoomListener {
public:
    struct Vm {
        std::function<void()> pause;
        std::function<void()> resume;
    };

    // Pauses and resumes on the poller's thread.
    static Result<std::unique_ptr<DiskRoom>> create(Poller& poller, Vm vm);

    void on_disk_full(const std::string& why) override;
    void on_disk_room() override;

private:
    explicit DiskRoom(Vm vm) : vm_(std::move(vm)) {}
    void update();

    const Vm vm_;
    std::unique_ptr<Notifier> changed_;  // update(), on the poller's thread
    bool paused_ = false;

    std::mutex mutex_;   // a leaf
    unsigned full_ = 0;  // disks
    std::string why_;    // of the last of them
};

}  // namespace banyan
