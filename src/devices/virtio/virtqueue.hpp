// Virtqueue: the device's side of a split virtqueue (virtio 1.2, section 2.7).
//
// The rings are in guest memory and may change at any time, also to nonsense: each field is copied
// once and then checked. All work is bounded by the size of the queue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/virtio/virtio_regs.hpp"
#include "devices/virtio/virtqueue_state.hpp"
#include "vm/address.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

// A piece of a buffer, resolved and inside guest memory.
struct VirtioSegment {
    Gpa gpa;
    std::byte* host = nullptr;
    uint32_t length = 0;

    std::span<std::byte> bytes() const { return {host, length}; }
};

// One buffer that the driver made available: segments that the device may read, then segments that
// it may write. Has room for a fixed number of segments, so that filling it does not allocate.
class DescriptorChain {
public:
    explicit DescriptorChain(uint16_t max_segments) : max_segments_(max_segments) {
        segments_.reserve(max_segments);
    }

    // Names the chain in the used ring.
    uint16_t head() const { return head_; }
    std::span<const VirtioSegment> readable() const {
        return std::span(segments_).first(readable_count_);
    }
    std::span<const VirtioSegment> writable() const {
        return std::span(segments_).subspan(readable_count_);
    }
    uint64_t readable_length() const { return readable_length_; }
    uint64_t writable_length() const { return writable_length_; }

    // Copies from the readable part, starting `offset` bytes into it. Returns how many bytes there
    // were.
    size_t copy_from(uint64_t offset, std::span<std::byte> to) const;
    // Copies to the writable part and tells guest memory of it. Returns how many bytes fitted.
    size_t copy_to(GuestMemory& memory, uint64_t offset, std::span<const std::byte> from) const;

private:
    friend class Virtqueue;

    void clear(uint16_t head);

    uint16_t max_segments_;
    uint16_t head_ = 0;
    std::vector<VirtioSegment> segments_;
    size_t readable_count_ = 0;
    uint64_t readable_length_ = 0;
    uint64_t writable_length_ = 0;
};

class Virtqueue {
public:
    // `max_size` is a power of two, at most 32768 (2.7).
    Virtqueue(GuestMemory& memory, uint16_t max_size);

    // Set-up by the driver; without effect while enabled. Sizes that cannot be are ignored.
    uint16_t max_size() const { return max_size_; }
    uint16_t size() const { return state_.size; }
    void set_size(uint16_t size);
    Gpa descriptors() const { return {state_.descriptors}; }
    Gpa available() const { return {state_.available}; }
    Gpa used() const { return {state_.used}; }
    void set_descriptors(Gpa gpa);
    void set_available(Gpa gpa);
    void set_used(Gpa gpa);

    // False when a ring is not aligned (2.7) or not in guest memory.
    bool enable(uint64_t features);
    bool enabled() const { return state_.enabled; }
    void reset();

    enum class Next : uint8_t {
        chain,   // there is one
        empty,   // the driver has made nothing available
        broken,  // the driver has broken a rule: the queue cannot be used any more
    };
    // Reads the next available chain, which stays the next until pop(). Looking again reads guest
    // memory again.
    Next peek(DescriptorChain& chain);
    void pop() { ++state_.next_available; }
    // For who must see several chains before it knows whether it takes them: rewind() takes back
    // the pop()s since position(), of chains that were not given back yet.
    using Position = uint16_t;
    Position position() const { return state_.next_available; }
    void rewind(Position position) { state_.next_available = position; }

    // Gives a chain back: `written` bytes of its writable part, from the start, hold data.
    void push_used(uint16_t head, uint32_t written);
    // Several at once: the driver sees all of them or none.
    struct UsedChain {
        uint16_t head = 0;
        uint32_t written = 0;
    };
    void push_used(std::span<const UsedChain> chains);

    // Asks the driver for a notification of the next buffer. True when one has come meanwhile: look
    // again.
    bool arm_notification();
    // Whether the driver wants an interrupt for what was pushed since the last call (2.7.7.2).
    bool take_interrupt();

    const VirtqueueStateV1& state() const { return state_; }
    // Into a queue after reset(). False, and then still reset, when no device could have saved
    // this.
    bool restore(const VirtqueueStateV1& state, uint64_t features);

private:
    uint64_t descriptors_size() const { return uint64_t{16} * state_.size; }
    uint64_t available_size() const { return 6 + uint64_t{2} * state_.size; }
    uint64_t used_size() const { return 6 + uint64_t{8} * state_.size; }
    bool resolve_rings();
    uint16_t available_index() const;
    void write_used_element(uint16_t head, uint32_t written);
    void store_used(uint64_t offset, uint16_t value);
    Next walk(DescriptorChain& chain, uint16_t head) const;
    bool enter_indirect(const virtio::Descriptor& descriptor,
                        std::span<const std::byte>& table) const;
    bool add_segment(DescriptorChain& chain, const virtio::Descriptor& descriptor) const;

    // configuration
    uint16_t max_size_;
    // wiring
    GuestMemory& memory_;
    // bookkeeping: the rings in host memory, while enabled
    std::span<const std::byte> descriptor_table_;
    const std::byte* available_ring_ = nullptr;
    std::byte* used_ring_ = nullptr;
    bool indirect_ = false;
    bool event_idx_ = false;
    // guest-visible state
    VirtqueueStateV1 state_;
};

}  // namespace banyan
