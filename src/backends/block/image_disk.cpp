#include "backends/block/image_disk.hpp"

#include <sys/uio.h>

#include "host/posix/host_error.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

using Kind = BlockRequest::Kind;

// What is copied within submit(), on the thread of a vCPU perhaps: about what waking another one
// takes.
constexpr uint64_t kMostAtOnce = 64 * 1024;
constexpr size_t kMostIovecs = 1024;  // of one call: IOV_MAX

constexpr auto kFirstRetry = std::chrono::milliseconds(100);
constexpr auto kLongestRetry = std::chrono::seconds(2);

DirectKind direct_kind(Kind kind) {
    switch (kind) {
        case Kind::read: return DirectKind::read;
        case Kind::write: return DirectKind::write;
        case Kind::flush: return DirectKind::flush;
        case Kind::discard: return DirectKind::discard;
        case Kind::write_zeroes: return DirectKind::write_zeroes;
    }
    return DirectKind::flush;
}

bool changes(Kind kind) {
    return kind != Kind::read && kind != Kind::flush;
}

Scatter bytes_of(const BlockRequest& request) {
    const bool moves = request.kind == Kind::read || request.kind == Kind::write;
    return {request.buffers, moves ? request.length : 0};
}

}  // namespace

Result<std::unique_ptr<ImageDisk>> ImageDisk::open(const ImageDiskOptions& options) {
    TRY_ASSIGN(opened,
               open_image_chain({options.path, options.format, options.read_only, options.cache}));
    if (opened.guessed && opened.format == ImageFormat::qcow2) {
        LOG_WARNING("disk", "%s: it holds a qcow2 image, and is used as one; say format=qcow2",
                    quote_name(options.path).c_str());
    }
    return std::unique_ptr<ImageDisk>(new ImageDisk(std::move(opened), options));
}

ImageDisk::ImageDisk(OpenedImage opened, const ImageDiskOptions& options)
    : image_(std::move(opened.disk)),
      format_(opened.format),
      read_only_(options.read_only),
      flushes_(options.cache != DiskCache::unsafe && !options.read_only),
      room_listener_(options.room_listener),
      throttled_(options.limits.any()),
      throttle_(options.limits),
      ring_wanted_(options.engine == DiskEngine::automatic),
      workers_(
          std::make_unique<DiskWorkers>(static_cast<DiskWorkersClient&>(*this), options.threads)) {}

ImageDisk::~ImageDisk() {
    drain();
    workers_.reset();
    ring_.reset();
    if (read_only_) return;
    if (const auto closed = image_->close(); !closed) {
        LOG_ERROR("disk", "%s", closed.error().text().data());
    }
}

// Where the host's file system cannot do them, zeroes are written, and discards do nothing.
bool ImageDisk::supports(Kind kind) const {
    return !changes(kind) || !read_only_;
}

void ImageDisk::submit(const BlockRequest& request, BlockClient& client) {
    DiskWork& work = pool_.take();
    work.request = request;
    work.client = &client;
    work.held = false;
    {
        const std::lock_guard lock(mutex_);
        ++in_flight_;
    }
    if (changes(request.kind) && read_only_) return finish(work, BlockStatus::io_error);
    if (request.kind == Kind::flush && !flushes_) return finish(work, BlockStatus::ok);
    if (!throttled_ || !wait_for_turn(work)) start(work);
}

// Whether it has to.
bool ImageDisk::wait_for_turn(DiskWork& work) {
    const BlockRequest& request = work.request;
    if (request.kind == Kind::flush) return false;
    const auto now = DiskClock::now().time_since_epoch();
    const auto direction = request.kind == Kind::read ? DiskLimits::reads : DiskLimits::writes;
    DiskThrottle::Time turn;
    {
        const std::lock_guard lock(throttle_mutex_);
        turn = throttle_.turn(direction, bytes_of(request).size(), now);
    }
    if (turn <= now) return false;
    work.throttled = true;
    work.due = DiskClock::time_point(turn);
    workers_->queue_at(work);
    return true;
}

void ImageDisk::start(DiskWork& work) {
    if (!start_direct(work)) workers_->queue(work);
}

bool ImageDisk::start_direct(DiskWork& work) {
    if (!ring_wanted_) return false;
    const BlockRequest& request = work.request;
    work.places.clear();
    if (!image_->begin_direct(direct_kind(request.kind), request.offset, request.length,
                              bytes_of(request), work.places)) {
        return false;
    }
    if (!fill_segments(work)) {
        image_->end_direct(work.places);
        return false;
    }
    if (read_at_once(work)) {
        image_->end_direct(work.places);
        finish(work, BlockStatus::ok);
        return true;
    }
    if (DiskRing* way = ring()) {
        way->submit(work);
        return true;
    }
    image_->end_direct(work.places);
    return false;
}

// For all places that have a file. False: the host cannot reach it, or not with this memory. Parts
// of a read that are zeroes are filled in.
bool ImageDisk::fill_segments(DiskWork& work) const {
    work.segments.clear();
    const Scatter bytes = bytes_of(work.request);
    uint64_t at = 0;
    for (const DirectPlace& place : work.places) {
        if (place.file == nullptr) {
            bytes.part(at, place.length).fill_with_zeroes();
            at += place.length;
            continue;
        }
        const FileAccess access = place.file->access();
        if (access.descriptor < 0) return false;
        if (bytes.size() == 0) continue;
        uint64_t odd = place.offset | place.length;
        bytes.part(at, place.length).for_each([&](std::span<std::byte> piece) {
            work.segments.push_back({piece.data(), piece.size()});
            odd |= reinterpret_cast<uintptr_t>(piece.data()) | piece.size();
        });
        if ((odd & (access.alignment - 1)) != 0) return false;
        at += place.length;
    }
    return work.segments.size() <= kMostIovecs;
}

// What needs no disk: zeroes, and a small read of one place that the host has in memory.
bool ImageDisk::read_at_once(DiskWork& work) {
    if (work.request.kind != Kind::read) return false;
    if (work.segments.empty()) return true;
    const DirectPlace& place = *work.places.begin();
    if (work.places.size() != 1 || place.length > kMostAtOnce) return false;
    const FileAccess access = place.file->access();
    if (access.alignment != 1) return false;
    const ssize_t got =
        ::preadv2(access.descriptor, work.segments.data(), static_cast<int>(work.segments.size()),
                  static_cast<off_t>(place.offset), RWF_NOWAIT);
    return got >= 0 && static_cast<uint64_t>(got) == place.length;
}

// Made when it is needed, so that a VM that only boots from memory has none.
DiskRing* ImageDisk::ring() {
    std::call_once(ring_tried_, [this] {
        auto made = DiskRing::create(static_cast<DiskRingClient&>(*this));
        if (made) {
            ring_ = std::move(*made);
        } else {
            LOG_INFO("disk", "%s; threads serve the disk", made.error().text().data());
            ring_wanted_ = false;
        }
    });
    return ring_.get();
}

// What the ring could not do, the image can, or says why not.
void ImageDisk::on_ring_done(DiskWork& work) {
    image_->end_direct(work.places);
    if (work.failed || work.bytes_left != 0) {
        workers_->queue(work);
    } else {
        finish(work, BlockStatus::ok);
    }
}

void ImageDisk::on_turn(DiskWork& work) {
    if (work.throttled) {
        work.throttled = false;
        if (start_direct(work)) return;
    }
    carry_out(work);
}

void ImageDisk::carry_out(DiskWork& work) {
    const auto result = call_image(work.request);
    const bool waits = !result && result.error().code() == ErrorCode::no_space;
    if (waits && hold(work, result.error())) return;
    if (work.held) has_room(work);
    finish(work, result ? BlockStatus::ok : status_of(result.error()));
}

Result<void> ImageDisk::call_image(const BlockRequest& request) const {
    const Scatter bytes = bytes_of(request);
    switch (request.kind) {
        case Kind::read: return image_->read(request.offset, bytes);
        case Kind::write: return image_->write(request.offset, bytes);
        case Kind::flush: return image_->flush();
        case Kind::discard: return image_->discard(request.offset, request.length);
        case Kind::write_zeroes: return image_->write_zeroes(request.offset, request.length);
    }
    return fail(ErrorCode::unsupported, "no such request");
}

BlockStatus ImageDisk::status_of(const Error& error) const {
    if (error.code() == ErrorCode::unsupported) return BlockStatus::unsupported;
    LOG_LIMITED(LogLevel::warning, "disk", "%s; the guest sees an I/O error", error.text().data());
    return BlockStatus::io_error;
}

// Whether it is tried again. Nothing of a request that failed has to be undone: what was written of
// it is written again.
bool ImageDisk::hold(DiskWork& work, const Error& error) {
    if (room_listener_ == nullptr || giving_up_ != 0) return false;
    {
        const std::lock_guard lock(room_mutex_);
        if (!work.held) {
            work.held = true;
            if (held_++ == 0) {
                retry_after_ = kFirstRetry;
                room_listener_->on_disk_full(std::string(error.text()));
            }
        } else {
            retry_after_ = std::min<DiskClock::duration>(2 * retry_after_, kLongestRetry);
        }
        work.due = DiskClock::now() + retry_after_;
    }
    workers_->queue_at(work);
    return true;
}

// Or it was given up: whoever drained the disk does not want it any more.
void ImageDisk::has_room(DiskWork& work) {
    const std::lock_guard lock(room_mutex_);
    work.held = false;
    retry_after_ = kFirstRetry;
    if (--held_ == 0) room_listener_->on_disk_room();
}

// The work may be used again by what the client submits from within.
void ImageDisk::finish(DiskWork& work, BlockStatus status) {
    BlockClient& client = *work.client;
    const uint64_t cookie = work.request.cookie;
    counters_.count(work.request.kind, work.request.length, status);
    pool_.give_back(work);
    client.on_block_complete(cookie, status);
    const std::lock_guard lock(mutex_);
    if (--in_flight_ == 0) became_idle_.notify_all();
}

Result<void> ImageDisk::resize(uint64_t size) {
    if (read_only_)
        return fail(ErrorCode::permission, "resize the disk: it is only read; open it for writing");
    return image_->resize(size);
}

// Neither a limit nor the host's administrator is waited for.
void ImageDisk::drain() {
    std::unique_lock lock(mutex_);
    if (in_flight_ == 0) return;
    lock.unlock();
    ++giving_up_;
    workers_->hurry();
    lock.lock();
    became_idle_.wait(lock, [&] { return in_flight_ == 0; });
    lock.unlock();
    workers_->no_hurry();
    --giving_up_;
}

}  // namespace banyan
