#include "network/port/frame_ring.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

uint64_t load(uint64_t& shared) {
    return std::atomic_ref(shared).load(std::memory_order_acquire);
}

// The flag of the other side is looked at behind it: see the head of frame_ring.hpp.
void store(uint64_t& shared, uint64_t value) {
    std::atomic_ref(shared).store(value, std::memory_order_seq_cst);
}

bool take_flag(uint32_t& waits) {
    std::atomic_ref flag(waits);
    return flag.load(std::memory_order_seq_cst) != 0 &&
           flag.exchange(0, std::memory_order_seq_cst) != 0;
}

void set_flag(uint32_t& waits, uint32_t value) {
    std::atomic_ref(waits).store(value, std::memory_order_seq_cst);
}

uint64_t load_after_flag(uint64_t& shared) {
    return std::atomic_ref(shared).load(std::memory_order_seq_cst);
}

uint64_t room_of(size_t frame_size) {
    return align_up<uint64_t>(sizeof(RingRecord) + frame_size, kRingAlignment);
}

RingRecord record_of(const NetFrame& frame) {
    const NetFrameInfo& info = frame.info;
    unsigned flags = 0;
    if (info.needs_checksum) flags |= RingRecord::kNeedsChecksum;
    if (info.checksum_valid) flags |= RingRecord::kChecksumValid;
    if (info.ecn) flags |= RingRecord::kEcn;
    return {.size = static_cast<uint32_t>(frame.size),
            .flags = static_cast<uint8_t>(flags),
            .segmentation = static_cast<uint8_t>(info.segmentation),
            .checksum_start = info.checksum_start,
            .checksum_offset = info.checksum_offset,
            .segment_size = info.segment_size,
            .header_length = info.header_length};
}

NetFrameInfo info_of(const RingRecord& record) {
    return {.needs_checksum = (record.flags & RingRecord::kNeedsChecksum) != 0,
            .checksum_valid = (record.flags & RingRecord::kChecksumValid) != 0,
            .checksum_start = record.checksum_start,
            .checksum_offset = record.checksum_offset,
            .segmentation = static_cast<NetFrameInfo::Segmentation>(record.segmentation),
            .ecn = (record.flags & RingRecord::kEcn) != 0,
            .segment_size = record.segment_size,
            .header_length = record.header_length};
}

bool is_sound(const RingRecord& record) {
    return record.size <= kLargestNetFrame &&
           record.segmentation <= static_cast<uint8_t>(NetFrameInfo::Segmentation::udp);
}

}  // namespace

// The consumer may only have moved towards the producer. Nothing: it did not.
std::optional<uint64_t> RingProducer::free_room() {
    const uint64_t used = position_ - load(memory_.control->consumer.position);
    if (used > memory_.data.size()) return {};
    return memory_.data.size() - used;
}

RingProducer::Status RingProducer::push(const NetFrame& frame) {
    BANYAN_ASSERT(frame.size <= kLargestNetFrame);
    const auto room = free_room();
    if (!room) return Status::broken;
    wanted_ = room_of(frame.size);
    if (*room < wanted_) return Status::full;
    const RingRecord record = record_of(frame);
    copy_in(position_, std::as_bytes(std::span(&record, 1)));
    uint64_t to = position_ + sizeof(record);
    for (const std::span<const std::byte> part : frame.parts) {
        copy_in(to, part);
        to += part.size();
    }
    position_ += wanted_;
    return Status::ok;
}

void RingProducer::copy_in(uint64_t to, std::span<const std::byte> bytes) {
    const size_t at = to & (memory_.data.size() - 1);
    const size_t first = std::min(bytes.size(), memory_.data.size() - at);
    if (first != 0) std::memcpy(memory_.data.data() + at, bytes.data(), first);
    if (first != bytes.size())
        std::memcpy(memory_.data.data(), bytes.data() + first, bytes.size() - first);
}

bool RingProducer::publish() {
    store(memory_.control->producer.position, position_);
    return take_flag(memory_.control->consumer.waits);
}

bool RingProducer::wait_for_room() {
    set_flag(memory_.control->producer.waits, 1);
    const uint64_t used = position_ - load_after_flag(memory_.control->consumer.position);
    if (used <= memory_.data.size() && memory_.data.size() - used < wanted_) return false;
    set_flag(memory_.control->producer.waits, 0);
    return true;
}

size_t RingProducer::used() {
    return memory_.data.size() - free_room().value_or(0);
}

RingConsumer::Status RingConsumer::next(RingFrame& frame) {
    const uint64_t there = load(memory_.control->producer.position) - looked_at_;
    if (there == 0) return Status::empty;
    if (there > memory_.data.size() || there < sizeof(RingRecord)) return Status::broken;
    RingRecord record;
    copy_out(looked_at_, std::as_writable_bytes(std::span(&record, 1)));
    if (!is_sound(record) || room_of(record.size) > there) return Status::broken;
    const size_t at = (looked_at_ + sizeof(record)) & (memory_.data.size() - 1);
    const size_t first = std::min<size_t>(record.size, memory_.data.size() - at);
    frame.parts[0] = memory_.data.subspan(at, first);
    frame.parts[1] = memory_.data.first(record.size - first);
    frame.part_count = first == record.size ? 1 : 2;
    frame.size = record.size;
    frame.info = info_of(record);
    looked_at_ += room_of(record.size);
    frame.end = looked_at_;
    return Status::ok;
}

void RingConsumer::copy_out(uint64_t from, std::span<std::byte> to) const {
    const size_t at = from & (memory_.data.size() - 1);
    const size_t first = std::min(to.size(), memory_.data.size() - at);
    std::memcpy(to.data(), memory_.data.data() + at, first);
    if (first != to.size()) std::memcpy(to.data() + first, memory_.data.data(), to.size() - first);
}

bool RingConsumer::release(uint64_t end) {
    position_ = end;
    looked_at_ = end;
    store(memory_.control->consumer.position, position_);
    return take_flag(memory_.control->producer.waits);
}

bool RingConsumer::sleep() {
    set_flag(memory_.control->consumer.waits, 1);
    if (load_after_flag(memory_.control->producer.position) == position_) return true;
    set_flag(memory_.control->consumer.waits, 0);
    return false;
}

}  // namespace banyan
