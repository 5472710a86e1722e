// ImageDisk: a disk that is an image of some format, served by io_uring and by threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "backends/block/disk_counts.hpp"
#include "backends/block/disk_ring.hpp"
#include "backends/block/disk_throttle.hpp"
#include "backends/block/disk_work.hpp"
#include "backends/block/disk_workers.hpp"
#include "backends/block/image_chain.hpp"
#include "vm/backend.hpp"

namespace banyan {

// Told when the host has no room for what a guest writes, and when all of it was written after all.
// From any thread, by turns, with none of the disk's locks held.
class DiskRoomListener {
public:
    virtual void on_disk_full(const std::string& why) = 0;
    virtual void on_disk_room() = 0;

protected:
    ~DiskRoomListener() = default;
};

enum class DiskEngine : uint8_t {
    automatic,  // io_uring, where the host has it
    threads,
};

struct ImageDiskOptions {
    std::string path = {};
    std::optional<ImageFormat> format = {};  // none: by what the file holds
    bool read_only = false;
    DiskCache cache = DiskCache::writeback;
    DiskLimits limits = {};
    DiskEngine engine = DiskEngine::automatic;
    unsigned threads = 2;                       // at most
    DiskRoomListener* room_listener = nullptr;  // null: a full host is an I/O error at once
};

// Requests are carried out several at once and in any order: as a disk with a queue, it leaves the
// order to whoever waits for completions. While it is open no other VM can open its file for
// writing.
//
// Three ways lead to the file. A small read of what the host's page cache has is done within
// submit(). Other requests for places in the image that are known (image/direct_access.hpp) go to
// the ring. What may change the image's tables, must read them, or did not succeed there goes to
// the workers, which call the image.
//
// A request for which the host has no room is held, and tried again until there is some; drain()
// gives it up, as a disk that is reset does.
class ImageDisk final : public BlockBackend, private DiskRingClient, private DiskWorkersClient {
public:
    static Result<std::unique_ptr<ImageDisk>> open(const ImageDiskOptions& options);
    ~ImageDisk() override;  // completes what is in flight
    ImageDisk(const ImageDisk&) = delete;
    ImageDisk& operator=(const ImageDisk&) = delete;

    ImageFormat format() const { return format_; }
    uint64_t size_bytes() const override { return image_->size(); }
    bool read_only() const override { return read_only_; }
    bool supports(BlockRequest::Kind kind) const override;
    void submit(const BlockRequest& request, BlockClient& client) override;
    void drain() override;
    // Only ever larger. While nothing is in flight.
    Result<void> resize(uint64_t size);

    // From any thread.
    DiskCounts counts() const { return counters_.read(); }
    // Requests for which the host had no room are tried again now. From any thread.
    void retry_held() { workers_->retry_held(); }

private:
    ImageDisk(OpenedImage opened, const ImageDiskOptions& options);

    bool wait_for_turn(DiskWork& work);
    void start(DiskWork& work);
    bool start_direct(DiskWork& work);
    bool fill_segments(DiskWork& work) const;
    bool read_at_once(DiskWork& work);
    DiskRing* ring();
    void on_ring_done(DiskWork& work) override;

    void on_turn(DiskWork& work) override;
    void carry_out(DiskWork& work);
    Result<void> call_image(const BlockRequest& request) const;
    BlockStatus status_of(const Error& error) const;
    bool hold(DiskWork& work, const Error& error);
    void has_room(DiskWork& work);
    void finish(DiskWork& work, BlockStatus status);

    const std::unique_ptr<DiskImage> image_;
    const ImageFormat format_;
    const bool read_only_;
    const bool flushes_;
    DiskRoomListener* const room_listener_;
    DiskWorkPool pool_;
    DiskCounters counters_;

    std::mutex throttle_mutex_;  // a leaf
    const bool throttled_;
    DiskThrottle throttle_;

    std::mutex room_mutex_;  // held while the listener is told, which takes no lock of a disk's
    size_t held_ = 0;        // requests without room
    DiskClock::duration retry_after_{};
    std::atomic<unsigned> giving_up_{0};  // drains

    std::mutex mutex_;  // a leaf: no client is called under it
    std::condition_variable became_idle_;
    size_t in_flight_ = 0;  // submitted and not completed

    std::once_flag ring_tried_;
    std::atomic<bool> ring_wanted_;
    std::unique_ptr<DiskRing> ring_;        // null: not yet, or the host has none
    std::unique_ptr<DiskWorkers> workers_;  // goes before what its threads use
};

}  // namespace banyan
