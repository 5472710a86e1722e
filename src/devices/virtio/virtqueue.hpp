// Virtqueue: the device's side of a virtqueue, in the split layout (virtio 1.2, section 2.7) or the
// packed one (2.8), as the driver chose by VIRTIO_F_RING_PACKED. Devices do not see which.
//
// The rings are in guest memory and may change at any time, also to nonsense: each field is copied
// once and then checked. All work is bounded by the size of the queue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/virtio/descriptor_chain.hpp"
#include "devices/virtio/virtio_regs.hpp"
#include "devices/virtio/virtqueue_state.hpp"
#include "vm/address.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

class Virtqueue {
public:
    // `max_size` is a power of two, at most 32768 (2.7, 2.8.10.1).
    Virtqueue(GuestMemory& memory, uint16_t max_size);

    // Set-up by the driver; without effect while enabled. Sizes above max_size() are ignored. The
    // areas have the names of the split layout: descriptors, driver area, device area.
    uint16_t max_size() const { return max_size_; }
    uint16_t size() const { return state_.size; }
    void set_size(uint16_t size);
    Gpa descriptors() const { return {state_.descriptors}; }
    Gpa available() const { return {state_.available}; }
    Gpa used() const { return {state_.used}; }
    void set_descriptors(Gpa gpa);
    void set_available(Gpa gpa);
    void set_used(Gpa gpa);

    // False when a ring is not aligned (2.7, 2.8.10.1), of no possible size, or not in guest
    // memory.
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
    Next peek(DescriptorChain& chain) { return packed_ ? peek_packed(chain) : peek_split(chain); }
    // Takes what peek() has just given.
    void pop() {
        if (packed_) return pop_packed();
        ++state_.next_available;
    }

    // For who must see several chains before it knows whether it takes them: rewind() takes back
    // the pop()s since position(). Nothing was given back in between.
    struct Position {
        uint16_t next_available = 0;
        uint16_t free_first = 0;  // of a packed queue
        uint16_t free_count = 0;
    };
    Position position() const { return {state_.next_available, free_first_, free_count_}; }
    void rewind(const Position& position);

    // Gives chains back: `written` bytes of the writable part, from the start, hold data. The
    // driver sees all of them or none.
    struct UsedChain {
        uint16_t head = 0;
        uint32_t written = 0;
    };
    void push_used(uint16_t head, uint32_t written) {
        const UsedChain chain{head, written};
        push_used({&chain, 1});
    }
    void push_used(std::span<const UsedChain> chains) {
        packed_ ? push_packed(chains) : push_split(chains);
    }

    // Asks the driver for a notification of the next buffer. True when one has come meanwhile: look
    // again.
    bool arm_notification() { return packed_ ? arm_packed() : arm_split(); }
    // Whether the driver wants an interrupt for what was pushed since the last call (2.7.7.2,
    // 2.8.7).
    bool take_interrupt() { return packed_ ? take_interrupt_packed() : take_interrupt_split(); }

    // Preconditions: what was popped has been pushed. Only so is a packed queue's state all there
    // is.
    const VirtqueueStateV1& state() const { return state_; }
    // Into a queue after reset(). False, and then still reset, when no device could have saved
    // this.
    bool restore(const VirtqueueStateV1& state, uint64_t features);

private:
    bool map_rings(uint64_t features);
    bool size_possible(uint16_t size, uint64_t features) const;
    bool positions_possible() const;
    bool indirect_table(Gpa gpa, uint32_t length, std::span<const std::byte>& table) const;

    // virtqueue_split.cpp
    bool map_split();
    uint64_t available_size() const { return 6 + uint64_t{2} * state_.size; }
    uint64_t used_size() const { return 6 + uint64_t{8} * state_.size; }
    uint16_t available_index() const;
    void store_used(uint64_t offset, uint16_t value);
    Next peek_split(DescriptorChain& chain);
    Next walk(DescriptorChain& chain, uint16_t head) const;
    bool enter_indirect(const virtio::Descriptor& descriptor,
                        std::span<const std::byte>& table) const;
    void push_split(std::span<const UsedChain> chains);
    void write_used_element(const UsedChain& chain);
    bool arm_split();
    bool take_interrupt_split();

    // virtqueue_packed.cpp
    bool map_packed();
    bool packed_position_possible(uint16_t position) const;
    uint16_t advance(uint16_t position, uint16_t count) const;
    uint32_t distance(uint16_t from, uint16_t to) const;
    bool is_available(uint16_t position) const;
    Next peek_packed(DescriptorChain& chain);
    bool append_table(DescriptorChain& chain, const virtio::PackedDescriptor& descriptor) const;
    void pop_packed();
    // What is written last, by which the driver sees the chain.
    struct PackedFlags {
        uint64_t offset = 0;
        uint16_t flags = 0;
    };
    PackedFlags write_packed(const UsedChain& chain);
    void show_packed(const PackedFlags& shown);
    void push_packed(std::span<const UsedChain> chains);
    bool arm_packed();
    bool take_interrupt_packed();

    // configuration
    uint16_t max_size_;
    // wiring
    GuestMemory& memory_;
    // bookkeeping: the rings in host memory, while enabled
    std::span<const std::byte> descriptor_table_;
    const std::byte* available_ring_ = nullptr;  // packed: the driver's event suppression
    std::byte* used_ring_ = nullptr;             // packed: the device's
    bool packed_ = false;
    bool indirect_ = false;
    bool event_idx_ = false;
    // Of a packed queue: what the driver calls a chain, and how many descriptors it takes up.
    struct PackedChain {
        uint16_t id = 0;
        uint16_t count = 0;
    };
    PackedChain peeked_;
    std::vector<PackedChain> taken_;    // by head()
    std::vector<uint16_t> free_heads_;  // a ring: first in, first out
    uint16_t free_first_ = 0;
    uint16_t free_count_ = 0;
    uint32_t unsignalled_ = 0;  // descriptors given back since the driver was last asked
    // guest-visible state
    VirtqueueStateV1 state_;
};

}  // namespace banyan
