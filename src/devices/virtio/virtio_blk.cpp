#include "devices/virtio/virtio_blk.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "support/assert.hpp"

namespace banyan {

using namespace virtio;
using Kind = BlockRequest::Kind;

namespace {

constexpr uint16_t kBlkQueueSize = 128;
constexpr uint32_t kMaxSegments = kBlkQueueSize - 2;  // beside the header and the status
constexpr uint32_t kMaxSegmentSize = 4U << 20;
constexpr uint32_t kMaxRangeSectors = 1U << 22;  // of one discard or write zeroes: 2 GiB

// Not IN_ORDER: disks answer in an order of their own.
uint64_t offered_features(const BlockBackend& backend, unsigned queues) {
    uint64_t features = kBlkSizeMax | kBlkSegMax | kBlkBlockSize | kBlkFlush;
    if (queues > 1) features |= kBlkMq;
    if (backend.read_only()) return features | kBlkReadOnly;
    if (backend.supports(Kind::discard)) features |= kBlkDiscard;
    if (backend.supports(Kind::write_zeroes)) features |= kBlkWriteZeroes;
    return features;
}

VirtioIdentity identity_for(const BlockBackend& backend, unsigned queues) {
    return {"virtio-blk", kDeviceBlock, 0x010000, offered_features(backend, queues)};
}

std::span<const uint16_t> queue_sizes(unsigned queues) {
    static constexpr auto kSizes = [] {
        std::array<uint16_t, VirtioBlk::kMaxQueues> sizes{};
        sizes.fill(kBlkQueueSize);
        return sizes;
    }();
    BANYAN_ASSERT(queues >= 1 && queues <= kSizes.size());
    return std::span(kSizes).first(queues);
}

BlkConfig make_config(const VirtioBlkConfig& config, uint64_t disk_size) {
    BANYAN_ASSERT(std::has_single_bit(config.logical_block_size));
    BANYAN_ASSERT(config.logical_block_size >= kBlkSector && config.logical_block_size <= 4096);
    BlkConfig space;
    space.capacity = disk_size / kBlkSector;
    space.size_max = kMaxSegmentSize;
    space.seg_max = kMaxSegments;
    space.blk_size = config.logical_block_size;
    space.num_queues = static_cast<uint16_t>(config.queues);
    space.max_discard_sectors = kMaxRangeSectors;
    space.max_discard_seg = 1U;
    space.discard_sector_alignment = config.logical_block_size / kBlkSector;
    space.max_write_zeroes_sectors = kMaxRangeSectors;
    space.max_write_zeroes_seg = 1U;
    space.write_zeroes_may_unmap = 1;
    return space;
}

// Appends `length` bytes of the segments, from byte `skip` on.
void append_buffers(std::span<const VirtioSegment> segments, uint64_t skip, uint64_t length,
                    std::vector<std::span<std::byte>>& buffers) {
    for (const VirtioSegment& segment : segments) {
        if (skip >= segment.length) {
            skip -= segment.length;
            continue;
        }
        const uint64_t count = std::min(segment.length - skip, length);
        if (count == 0) return;
        buffers.push_back(segment.bytes().subspan(skip, count));
        length -= count;
        skip = 0;
    }
}

}  // namespace

VirtioBlk::Request::Request(uint16_t max_segments) : chain(max_segments) {
    buffers.reserve(max_segments);
}

VirtioBlk::VirtioBlk(const VirtioBlkConfig& config, const VirtioBlkWiring& wiring)
    : VirtioDevice(wiring.memory, identity_for(wiring.backend, config.queues),
                   queue_sizes(config.queues)),
      config_(make_config(config, wiring.backend.size_bytes())),
      read_only_(wiring.backend.read_only()),
      backend_(wiring.backend) {
    const size_t length = std::min(config.serial.size(), serial_.size());
    std::copy_n(config.serial.begin(), length, serial_.begin());
    requests_.reserve(kMaxInFlight);
    free_.reserve(kMaxInFlight);
    for (uint16_t i = 0; i < kMaxInFlight; ++i) {
        requests_.emplace_back(kBlkQueueSize);
        free_.push_back(i);
    }
}

std::span<const std::byte> VirtioBlk::config_space() const {
    return std::as_bytes(std::span(&config_, 1));
}

// Meanwhile nothing is taken from the ring, or a guest that goes on would never let it end.
void VirtioBlk::drain() {
    if (free_.size() == requests_.size()) return;
    draining_ = true;
    backend_.drain();
    // Writes that have just completed may have started their flushes.
    if (free_.size() != requests_.size()) backend_.drain();
    draining_ = false;
    BANYAN_ASSERT(free_.size() == requests_.size());
    continue_stalled();
}

Result<void> VirtioBlk::resize(const std::function<Result<void>()>& resize) {
    drain();
    TRY(resize());
    config_.capacity = backend_.size_bytes() / kBlkSector;
    config_changed();
    return {};
}

// Not at once: completions may come as fast as a guest makes requests, and must not hold a thread
// for ever.
void VirtioBlk::continue_stalled() {
    for (uint32_t queues = std::exchange(stalled_, 0); queues != 0; queues &= queues - 1)
        continue_later(static_cast<unsigned>(std::countr_zero(queues)));
}

VirtioDevice::Step VirtioBlk::step(unsigned index) {
    if (free_.empty() || draining_) {
        stalled_ |= 1U << index;
        return Step::stalled;
    }
    Request& request = requests_[free_.back()];
    switch (queue(index).peek(request.chain)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    // Without a header or a place for the status there is no request, and no way to say so.
    const DescriptorChain& chain = request.chain;
    if (chain.readable_length() < sizeof(BlkRequestHeader) || chain.writable_length() < 1)
        return Step::broken;
    queue(index).pop();
    free_.pop_back();
    request.busy = true;
    request.queue = index;
    start(request);
    return Step::done;
}

// 5.2.6: header, data and status may lie in descriptors of any layout (2.7.4.3).
void VirtioBlk::start(Request& request) {
    BlkRequestHeader header;
    (void)request.chain.copy_from(0, std::as_writable_bytes(std::span(&header, 1)));
    request.buffers.clear();
    request.length = 0;
    request.flush_next = false;
    switch (static_cast<BlkRequestType>(uint32_t{header.type})) {
        case BlkRequestType::in: return start_transfer(request, Kind::read, header.sector);
        case BlkRequestType::out: return start_transfer(request, Kind::write, header.sector);
        case BlkRequestType::flush: return start_flush(request);
        case BlkRequestType::get_id: return get_id(request);
        case BlkRequestType::discard: return start_range(request, Kind::discard);
        case BlkRequestType::write_zeroes: return start_range(request, Kind::write_zeroes);
    }
    finish(request, kBlkStatusUnsupported);
}

bool VirtioBlk::inside_disk(uint64_t sector, uint64_t length) const {
    const uint64_t capacity = config_.capacity;
    return sector <= capacity && length / kBlkSector <= capacity - sector;
}

void VirtioBlk::start_transfer(Request& request, Kind kind, uint64_t sector) {
    const bool write = kind == Kind::write;
    const DescriptorChain& chain = request.chain;
    const uint64_t length =
        write ? chain.readable_length() - sizeof(BlkRequestHeader) : chain.writable_length() - 1;
    // 5.2.6.2: a read-only device fails writes.
    const bool allowed = !write || !read_only_;
    if (!allowed || length % kBlkSector != 0 || !inside_disk(sector, length)) {
        return finish(request, kBlkStatusIoError);
    }
    if (length == 0) return finish(request, kBlkStatusOk);
    request.kind = kind;
    request.length = length;
    if (write) {
        append_buffers(chain.readable(), sizeof(BlkRequestHeader), length, request.buffers);
    } else {
        append_buffers(chain.writable(), 0, length, request.buffers);
    }
    // 5.2.6.2: for a driver that does not know flush, data is stable when its write completes.
    request.flush_next = write && (driver_features() & kBlkFlush) == 0;
    submit(request, sector * kBlkSector, length);
}

// Discard and write zeroes: one range each, as the configuration says.
void VirtioBlk::start_range(Request& request, Kind kind) {
    const bool discard = kind == Kind::discard;
    if (read_only_) return finish(request, kBlkStatusIoError);
    if (!offers(discard ? kBlkDiscard : kBlkWriteZeroes))
        return finish(request, kBlkStatusUnsupported);
    BlkRange range;
    if (request.chain.readable_length() != sizeof(BlkRequestHeader) + sizeof(BlkRange)) {
        return finish(request, kBlkStatusIoError);
    }
    (void)request.chain.copy_from(sizeof(BlkRequestHeader),
                                  std::as_writable_bytes(std::span(&range, 1)));
    // 5.2.6.2: the unmap flag means something only for write zeroes; the others are reserved.
    const uint32_t known_flags = discard ? 0 : kBlkRangeUnmap;
    if ((range.flags & ~known_flags) != 0) return finish(request, kBlkStatusUnsupported);
    const uint64_t length = uint64_t{range.num_sectors} * kBlkSector;
    if (range.num_sectors > kMaxRangeSectors || !inside_disk(range.sector, length)) {
        return finish(request, kBlkStatusIoError);
    }
    if (length == 0) return finish(request, kBlkStatusOk);
    request.kind = kind;
    submit(request, range.sector * kBlkSector, length);
}

void VirtioBlk::start_flush(Request& request) {
    request.kind = Kind::flush;
    submit(request, 0, 0);
}

void VirtioBlk::get_id(Request& request) {
    const uint64_t room = request.chain.writable_length() - 1;
    const auto id =
        std::as_bytes(std::span(serial_)).first(std::min<uint64_t>(room, serial_.size()));
    (void)request.chain.copy_to(memory(), 0, id);
    finish(request, kBlkStatusOk, id.size());
}

void VirtioBlk::submit(Request& request, uint64_t offset, uint64_t length) {
    const auto cookie = static_cast<uint64_t>(&request - requests_.data());
    backend_.submit({request.kind, offset, length, request.buffers, cookie}, *this);
}

void VirtioBlk::on_block_complete(uint64_t cookie, BlockStatus status) {
    BANYAN_ASSERT(cookie < requests_.size() && requests_[cookie].busy);
    Request& request = requests_[cookie];
    if (request.kind == Kind::read) {
        // Also of a read that failed: some of it may have come.
        uint64_t left = request.length;
        for (const VirtioSegment& segment : request.chain.writable()) {
            const uint64_t count = std::min<uint64_t>(segment.length, left);
            memory().written(segment.gpa, count);
            left -= count;
        }
    }
    if (status == BlockStatus::ok && request.flush_next) {
        request.flush_next = false;
        request.buffers.clear();
        return start_flush(request);
    }
    switch (status) {
        case BlockStatus::ok:
            return finish(request, kBlkStatusOk, request.kind == Kind::read ? request.length : 0);
        case BlockStatus::io_error: return finish(request, kBlkStatusIoError);
        case BlockStatus::unsupported: return finish(request, kBlkStatusUnsupported);
    }
}

void VirtioBlk::finish(Request& request, uint8_t status, uint64_t data_written) {
    const uint64_t data_room = request.chain.writable_length() - 1;
    (void)request.chain.copy_to(memory(), data_room, std::as_bytes(std::span(&status, 1)));
    // 2.7.8.2: only so much as is written without a gap from the start; with all data, the status
    // belongs to it.
    const uint64_t written = data_written == data_room ? data_room + 1 : data_written;
    queue(request.queue).push_used(request.chain.head(), static_cast<uint32_t>(written));
    request.busy = false;
    free_.push_back(static_cast<uint16_t>(&request - requests_.data()));
    if (!running_on(request.queue)) send_interrupt(request.queue);
    continue_stalled();
}

}  // namespace banyan
