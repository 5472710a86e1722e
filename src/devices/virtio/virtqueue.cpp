#include "devices/virtio/virtqueue.hpp"

#include <bit>

#include "support/assert.hpp"

namespace banyan {

Virtqueue::Virtqueue(GuestMemory& memory, uint16_t max_size)
    : max_size_(max_size), memory_(memory), taken_(max_size), free_heads_(max_size) {
    BANYAN_ASSERT(std::has_single_bit(max_size) && max_size <= 32768);
    reset();
}

void Virtqueue::reset() {
    state_ = {};
    state_.size = max_size_;
    descriptor_table_ = {};
    available_ring_ = nullptr;
    used_ring_ = nullptr;
    packed_ = false;
}

void Virtqueue::set_size(uint16_t size) {
    if (!state_.enabled && size != 0 && size <= max_size_) state_.size = size;
}

void Virtqueue::set_descriptors(Gpa gpa) {
    if (!state_.enabled) state_.descriptors = gpa.value;
}

void Virtqueue::set_available(Gpa gpa) {
    if (!state_.enabled) state_.available = gpa.value;
}

void Virtqueue::set_used(Gpa gpa) {
    if (!state_.enabled) state_.used = gpa.value;
}

bool Virtqueue::enable(uint64_t features) {
    if (state_.enabled) return true;
    if (!map_rings(features)) return false;
    const uint16_t start = packed_ ? virtio::kPackedWrap : uint16_t{0};
    state_.next_available = start;
    state_.next_used = start;
    state_.signalled_used = start;
    state_.enabled = true;
    return true;
}

// The memory of a guest stays where it is, so the rings are looked up once.
bool Virtqueue::map_rings(uint64_t features) {
    packed_ = (features & virtio::kFeatureRingPacked) != 0;
    indirect_ = (features & virtio::kFeatureIndirectDesc) != 0;
    event_idx_ = (features & virtio::kFeatureEventIdx) != 0;
    unsignalled_ = 0;
    return size_possible(state_.size, features) && (packed_ ? map_packed() : map_split());
}

// 2.7: a split queue's size is a power of two; 2.8.10.1 has no such rule.
bool Virtqueue::size_possible(uint16_t size, uint64_t features) const {
    if (size == 0 || size > max_size_) return false;
    return std::has_single_bit(size) || (features & virtio::kFeatureRingPacked) != 0;
}

bool Virtqueue::positions_possible() const {
    return !packed_ || (packed_position_possible(state_.next_available) &&
                        packed_position_possible(state_.next_used) &&
                        packed_position_possible(state_.signalled_used));
}

// 2.7.5.3.1 and 2.8.8: only with the feature, a whole number of descriptors.
bool Virtqueue::indirect_table(Gpa gpa, uint32_t length, std::span<const std::byte>& table) const {
    static_assert(sizeof(virtio::Descriptor) == sizeof(virtio::PackedDescriptor));
    if (!indirect_ || length == 0 || length % sizeof(virtio::Descriptor) != 0) return false;
    table = memory_.readable_range(gpa, length);
    return !table.empty();
}

void Virtqueue::rewind(const Position& position) {
    state_.next_available = position.next_available;
    free_first_ = position.free_first;
    free_count_ = position.free_count;
}

bool Virtqueue::restore(const VirtqueueStateV1& state, uint64_t features) {
    if (!size_possible(state.size, features)) return false;
    state_ = state;
    if (!state.enabled) return true;
    if (map_rings(features) && positions_possible()) {
        if (packed_) unsignalled_ = distance(state_.signalled_used, state_.next_used);
        return true;
    }
    reset();
    return false;
}

}  // namespace banyan
