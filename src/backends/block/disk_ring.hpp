// DiskRing: moves bytes between guests and files by the kernel's io_uring (io_uring(7)).
#pragma once

#include <liburing.h>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "backends/block/disk_work.hpp"
#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

class DiskRingClient {
public:
    // On the ring's thread. Not all of it may be done: work.failed, work.bytes_left.
    virtual void on_ring_done(DiskWork& work) = 0;

protected:
    ~DiskRingClient() = default;
};

// One thread hands over requests, all that wait with one call, and waits for their ends. The kernel
// reads what its page cache has within that call, leaves other reads to the disk, and buffered
// writes to threads of its own.
class DiskRing {
public:
    // Fails where the kernel has no io_uring, or does not let us use it.
    static Result<std::unique_ptr<DiskRing>> create(DiskRingClient& client);
    ~DiskRing();  // nothing is under way any more
    DiskRing(const DiskRing&) = delete;
    DiskRing& operator=(const DiskRing&) = delete;

    // The work's places have files whose bytes the host can reach, and its segments are filled in.
    // From any thread.
    void submit(DiskWork& work);

private:
    static constexpr unsigned kEntries = 128;
    // The kernel keeps twice as many ends as entries; one is for wake-ups.
    static constexpr size_t kMostUnderWay = 2 * kEntries - 1;

    explicit DiskRing(DiskRingClient& client) : client_(client) {}
    int open();
    void serve();
    bool hand_over();
    void enqueue(DiskWork& work);
    io_uring_sqe& next_entry();
    void watch_wake_ups();
    void reap();
    void complete(DiskWork& work, int result);

    DiskRingClient& client_;
    UniqueFd wake_;  // an eventfd

    // Of the thread.
    uint64_t wake_count_ = 0;
    io_uring ring_{};
    size_t under_way_ = 0;  // places
    DiskWorkList backlog_;  // for which there was no room

    std::mutex mutex_;  // a leaf
    DiskWorkList incoming_;
    bool asleep_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

// "available", or why not: for people.
struct IoUringReport {
    bool available = false;
    std::string reason;
};
IoUringReport report_io_uring();

}  // namespace banyan
