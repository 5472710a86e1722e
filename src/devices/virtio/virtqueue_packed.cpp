// The packed layout: one ring of descriptors, in which the device overwrites those that it has used
// (virtio 1.2, section 2.8).
//
// A position is the number of a descriptor with the wrap counter in bit 15, as in the event
// suppression structures (2.8.7). Chains may be given back in any order, and the driver names them
// as it likes, so each that is taken gets a head of our own, under which its id and its number of
// descriptors are remembered.
#include <cstddef>
#include <cstring>

#include "devices/virtio/virtqueue.hpp"
#include "devices/virtio/virtqueue_memory.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace virtqueue_memory;
using virtio::kPackedWrap;
using virtio::PackedDescriptor;

namespace {

constexpr uint64_t kEventSize = 4;

uint64_t offset_of(uint16_t position) {
    return uint64_t{position & ~uint32_t{kPackedWrap}} * sizeof(PackedDescriptor);
}

}  // namespace

bool Virtqueue::map_packed() {
    const bool aligned = is_aligned<uint64_t>(state_.descriptors, 16) &&
                         is_aligned<uint64_t>(state_.available, 4) &&
                         is_aligned<uint64_t>(state_.used, 4);
    if (!aligned) return false;
    descriptor_table_ =
        memory_.writable_range(descriptors(), sizeof(PackedDescriptor) * state_.size);
    available_ring_ = memory_.readable_range(available(), kEventSize).data();
    used_ring_ = memory_.writable_range(used(), kEventSize).data();
    for (uint16_t head = 0; head < state_.size; ++head)
        free_heads_[head] = head;
    free_first_ = 0;
    free_count_ = state_.size;
    return !descriptor_table_.empty() && available_ring_ != nullptr && used_ring_ != nullptr;
}

bool Virtqueue::packed_position_possible(uint16_t position) const {
    return (position & ~uint32_t{kPackedWrap}) < state_.size;
}

// 2.8.1: the counter flips with each lap.
uint16_t Virtqueue::advance(uint16_t position, uint16_t count) const {
    const uint32_t index = (position & ~uint32_t{kPackedWrap}) + count;
    if (index < state_.size) return static_cast<uint16_t>(position + count);
    return static_cast<uint16_t>((index - state_.size) |
                                 ((position & kPackedWrap) ^ uint32_t{kPackedWrap}));
}

// How many descriptors lie between, of the two laps that positions can tell apart.
uint32_t Virtqueue::distance(uint16_t from, uint16_t to) const {
    const auto place = [this](uint16_t position) {
        const uint32_t lap = (position & kPackedWrap) != 0 ? 0 : state_.size;
        return ((position & ~uint32_t{kPackedWrap}) + lap) % (2U * state_.size);
    };
    return (place(to) + 2U * state_.size - place(from)) % (2U * state_.size);
}

// 2.8.1: AVAIL is as the counter, USED is not.
bool Virtqueue::is_available(uint16_t position) const {
    const auto flags = load_acquire<uint16_t>(descriptor_table_.data() + offset_of(position) +
                                              offsetof(PackedDescriptor, flags));
    const bool wrap = (position & kPackedWrap) != 0;
    const bool avail = (flags & virtio::kPackedAvail) != 0;
    const bool used = (flags & virtio::kPackedUsed) != 0;
    return avail == wrap && used != wrap;
}

// 2.8.6: the driver marks the first descriptor last, so those behind it are there already.
Virtqueue::Next Virtqueue::peek_packed(DescriptorChain& chain) {
    uint16_t position = state_.next_available;
    if (!is_available(position)) return Next::empty;
    // More chains than descriptors: the driver has offered anew what was not given back.
    if (free_count_ == 0) return Next::broken;
    chain.clear(free_heads_[free_first_]);
    for (uint16_t count = 1; count <= state_.size; ++count) {
        PackedDescriptor descriptor;
        std::memcpy(&descriptor, descriptor_table_.data() + offset_of(position),
                    sizeof(descriptor));
        const bool next = (descriptor.flags & virtio::kDescNext) != 0;
        peeked_ = {descriptor.id, count};  // 2.8.6: the last one's id is the chain's
        if ((descriptor.flags & virtio::kDescIndirect) != 0) {
            // 2.8.19: not together with NEXT.
            return !next && append_table(chain, descriptor) ? Next::chain : Next::broken;
        }
        const auto access = (descriptor.flags & virtio::kDescWrite) != 0
                                ? DescriptorChain::Access::writable
                                : DescriptorChain::Access::readable;
        if (!chain.append(memory_, {descriptor.address}, descriptor.length, access))
            return Next::broken;
        if (!next) return Next::chain;
        position = advance(position, 1);
    }
    return Next::broken;
}

// 2.8.8: all of the table, in its order; of the flags WRITE alone counts. 2.8.20: no more of them
// than the queue has.
bool Virtqueue::append_table(DescriptorChain& chain, const PackedDescriptor& descriptor) const {
    std::span<const std::byte> table;
    if (!indirect_table({descriptor.address}, descriptor.length, table)) return false;
    if (table.size() / sizeof(PackedDescriptor) > max_size_) return false;
    for (; !table.empty(); table = table.subspan(sizeof(PackedDescriptor))) {
        PackedDescriptor entry;
        std::memcpy(&entry, table.data(), sizeof(entry));
        const auto access = (entry.flags & virtio::kDescWrite) != 0
                                ? DescriptorChain::Access::writable
                                : DescriptorChain::Access::readable;
        if (!chain.append(memory_, {entry.address}, entry.length, access)) return false;
    }
    return true;
}

void Virtqueue::pop_packed() {
    taken_[free_heads_[free_first_]] = peeked_;
    free_first_ = static_cast<uint16_t>(free_first_ + 1U == state_.size ? 0 : free_first_ + 1U);
    --free_count_;
    state_.next_available = advance(state_.next_available, peeked_.count);
}

// 2.8.1: what was used is said where the next used descriptor is due, and the chain's others are
// skipped. The flags come last.
Virtqueue::PackedFlags Virtqueue::write_packed(const UsedChain& chain) {
    BANYAN_ASSERT(chain.head < state_.size && free_count_ < state_.size);
    const PackedChain taken = taken_[chain.head];
    const uint32_t free_end = uint32_t{free_first_} + free_count_;
    free_heads_[free_end < state_.size ? free_end : free_end - state_.size] = chain.head;
    ++free_count_;

    const uint64_t offset = offset_of(state_.next_used);
    // SAFETY: map_packed() took the ring as a writable range.
    auto* const at = const_cast<std::byte*>(descriptor_table_.data()) + offset;
    const bool wrap = (state_.next_used & kPackedWrap) != 0;
    const le32 length{chain.written};
    const le16 id{taken.id};
    std::memcpy(at + offsetof(PackedDescriptor, length), &length, sizeof(length));
    std::memcpy(at + offsetof(PackedDescriptor, id), &id, sizeof(id));
    state_.next_used = advance(state_.next_used, taken.count);
    unsignalled_ += taken.count;
    return {offset, static_cast<uint16_t>((wrap ? virtio::kPackedAvail | virtio::kPackedUsed : 0) |
                                          (chain.written != 0 ? virtio::kDescWrite : 0))};
}

void Virtqueue::show_packed(const PackedFlags& shown) {
    // SAFETY: as in write_packed().
    auto* const at = const_cast<std::byte*>(descriptor_table_.data()) + shown.offset;
    store_release(at + offsetof(PackedDescriptor, flags), shown.flags);
    memory_.written(descriptors() + shown.offset, sizeof(PackedDescriptor));
}

// The driver looks at the first before the others.
void Virtqueue::push_packed(std::span<const UsedChain> chains) {
    if (chains.empty()) return;
    const PackedFlags first = write_packed(chains[0]);
    for (const UsedChain& chain : chains.subspan(1))
        show_packed(write_packed(chain));
    show_packed(first);
}

bool Virtqueue::arm_packed() {
    // As in the split layout: without the event index the driver always notifies.
    if (event_idx_) {
        const uint32_t event = state_.next_available | uint32_t{virtio::kPackedEventDesc} << 16;
        store_release(used_ring_, event);
        memory_.written(used(), kEventSize);
    }
    full_barrier();
    return is_available(state_.next_available);
}

bool Virtqueue::take_interrupt_packed() {
    if (unsignalled_ == 0) return false;
    const uint16_t old_position = state_.signalled_used;
    const uint32_t passed = unsignalled_;
    state_.signalled_used = state_.next_used;
    unsignalled_ = 0;
    full_barrier();
    const auto event = load_acquire<uint32_t>(available_ring_);
    switch (event >> 16 & virtio::kPackedEventMask) {
        case virtio::kPackedEventEnable: return true;
        case virtio::kPackedEventDisable: return false;
        default: break;
    }
    // 2.8.7: when the descriptor that the driver named is among those passed.
    return !event_idx_ || distance(old_position, static_cast<uint16_t>(event)) < passed;
}

}  // namespace banyan
