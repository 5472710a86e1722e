#include "devices/virtio/virtqueue.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

using virtio::Descriptor;

namespace {

// Offsets in the available ring (2.7.6) and the used ring (2.7.8); both start with 16 bits of
// flags.
constexpr uint64_t kRingIndex = 2;
constexpr uint64_t kRingEntries = 4;

// SAFETY: rings are resolved at aligned addresses; these are the words that driver and device write
// at the same time.
uint16_t load_acquire(const std::byte* at) {
    return __atomic_load_n(reinterpret_cast<const uint16_t*>(at), __ATOMIC_ACQUIRE);
}

void store_release(std::byte* at, uint16_t value) {
    __atomic_store_n(reinterpret_cast<uint16_t*>(at), value, __ATOMIC_RELEASE);
}

// Between writing an index and reading the other side's event, or the other way round
// (2.7.7, 2.7.13.3.1).
void full_barrier() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace

void DescriptorChain::clear(uint16_t head) {
    head_ = head;
    segments_.clear();
    readable_count_ = 0;
    readable_length_ = 0;
    writable_length_ = 0;
}

size_t DescriptorChain::copy_from(uint64_t offset, std::span<std::byte> to) const {
    size_t copied = 0;
    for (const VirtioSegment& segment : readable()) {
        if (offset >= segment.length) {
            offset -= segment.length;
            continue;
        }
        const size_t count = std::min<size_t>(segment.length - offset, to.size() - copied);
        if (count == 0) break;
        std::memcpy(to.data() + copied, segment.host + offset, count);
        copied += count;
        offset = 0;
    }
    return copied;
}

size_t DescriptorChain::copy_to(GuestMemory& memory, uint64_t offset,
                                std::span<const std::byte> from) const {
    size_t copied = 0;
    for (const VirtioSegment& segment : writable()) {
        if (offset >= segment.length) {
            offset -= segment.length;
            continue;
        }
        const size_t count = std::min<size_t>(segment.length - offset, from.size() - copied);
        if (count == 0) break;
        std::memcpy(segment.host + offset, from.data() + copied, count);
        memory.written(segment.gpa + offset, count);
        copied += count;
        offset = 0;
    }
    return copied;
}

Virtqueue::Virtqueue(GuestMemory& memory, uint16_t max_size)
    : max_size_(max_size), memory_(memory) {
    BANYAN_ASSERT(std::has_single_bit(max_size) && max_size <= 32768);
    reset();
}

void Virtqueue::reset() {
    state_ = {};
    state_.size = max_size_;
    descriptor_table_ = {};
    available_ring_ = nullptr;
    used_ring_ = nullptr;
}

void Virtqueue::set_size(uint16_t size) {
    if (!state_.enabled && std::has_single_bit(size) && size <= max_size_) state_.size = size;
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
    if (!resolve_rings()) return false;
    indirect_ = (features & virtio::kFeatureIndirectDesc) != 0;
    event_idx_ = (features & virtio::kFeatureEventIdx) != 0;
    state_.enabled = true;
    return true;
}

// The memory of a guest stays where it is, so the rings are looked up once.
bool Virtqueue::resolve_rings() {
    const bool aligned = is_aligned<uint64_t>(state_.descriptors, 16) &&
                         is_aligned<uint64_t>(state_.available, 2) &&
                         is_aligned<uint64_t>(state_.used, 4);
    if (!aligned) return false;
    descriptor_table_ = memory_.readable_range(descriptors(), descriptors_size());
    available_ring_ = memory_.readable_range(available(), available_size()).data();
    used_ring_ = memory_.writable_range(used(), used_size()).data();
    return !descriptor_table_.empty() && available_ring_ != nullptr && used_ring_ != nullptr;
}

uint16_t Virtqueue::available_index() const {
    return load_acquire(available_ring_ + kRingIndex);
}

Virtqueue::Next Virtqueue::peek(DescriptorChain& chain) {
    const auto waiting = static_cast<uint16_t>(available_index() - state_.next_available);
    if (waiting == 0) return Next::empty;
    if (waiting > state_.size) return Next::broken;
    const uint64_t slot = state_.next_available & (state_.size - 1U);
    const uint16_t head = load_acquire(available_ring_ + kRingEntries + 2 * slot);
    chain.clear(head);
    return walk(chain, head);
}

// 2.7.5: a chain is no longer than the queue, so a loop ends there. The descriptor that refers to
// an indirect table is not one of the chain.
Virtqueue::Next Virtqueue::walk(DescriptorChain& chain, uint16_t head) const {
    auto table = descriptor_table_;
    bool in_indirect = false;
    uint32_t index = head;
    for (uint32_t steps = 0; steps <= max_size_; ++steps) {
        if (index >= table.size() / sizeof(Descriptor)) return Next::broken;
        Descriptor descriptor;
        std::memcpy(&descriptor, table.data() + index * sizeof(Descriptor), sizeof(Descriptor));
        if ((descriptor.flags & virtio::kDescIndirect) != 0) {
            if (in_indirect || !enter_indirect(descriptor, table)) return Next::broken;
            in_indirect = true;
            index = 0;
            continue;
        }
        if (!add_segment(chain, descriptor)) return Next::broken;
        if ((descriptor.flags & virtio::kDescNext) == 0) return Next::chain;
        index = descriptor.next;
    }
    return Next::broken;
}

// 2.7.5.3.1: only with the feature, not together with NEXT, a whole number of descriptors. WRITE
// has no meaning here (2.7.5.3.2).
bool Virtqueue::enter_indirect(const Descriptor& descriptor,
                               std::span<const std::byte>& table) const {
    if (!indirect_ || (descriptor.flags & virtio::kDescNext) != 0) return false;
    if (descriptor.length == 0 || descriptor.length % sizeof(Descriptor) != 0) return false;
    table = memory_.readable_range({descriptor.address}, descriptor.length);
    return !table.empty();
}

bool Virtqueue::add_segment(DescriptorChain& chain, const Descriptor& descriptor) const {
    const uint32_t length = descriptor.length;
    if (length == 0) return true;
    if (chain.segments_.size() == chain.max_segments_) return false;
    // 2.7.5: all of a chain is at most 4 GiB; one byte less lets the used ring tell its length.
    if (chain.readable_length_ + chain.writable_length_ + length > UINT32_MAX) return false;
    const Gpa gpa{descriptor.address};
    std::byte* host = nullptr;
    if ((descriptor.flags & virtio::kDescWrite) != 0) {
        host = memory_.writable_range(gpa, length).data();
        chain.writable_length_ += length;
    } else {
        // 2.7.4.2: what the device reads comes before what it writes.
        if (chain.writable_length_ != 0) return false;
        // SAFETY: readable segments are only read, but share their type with writable ones.
        host = const_cast<std::byte*>(memory_.readable_range(gpa, length).data());
        chain.readable_length_ += length;
        ++chain.readable_count_;
    }
    if (host == nullptr) return false;
    chain.segments_.push_back({gpa, host, length});
    return true;
}

void Virtqueue::push_used(uint16_t head, uint32_t written) {
    const UsedChain chain{head, written};
    push_used(std::span(&chain, 1));
}

void Virtqueue::push_used(std::span<const UsedChain> chains) {
    for (const UsedChain& chain : chains)
        write_used_element(chain.head, chain.written);
    store_used(kRingIndex, state_.next_used);
}

void Virtqueue::write_used_element(uint16_t head, uint32_t written) {
    const uint64_t offset =
        kRingEntries + sizeof(virtio::UsedElement) * (state_.next_used & (state_.size - 1U));
    const virtio::UsedElement element{head, written};
    std::memcpy(used_ring_ + offset, &element, sizeof(element));
    memory_.written(used() + offset, sizeof(element));
    ++state_.next_used;
}

void Virtqueue::store_used(uint64_t offset, uint16_t value) {
    store_release(used_ring_ + offset, value);
    memory_.written(used() + offset, sizeof(value));
}

bool Virtqueue::arm_notification() {
    // Without the event index the driver always notifies: the flag that asks it not to is never
    // set.
    if (event_idx_) store_used(used_size() - 2, state_.next_available);
    full_barrier();
    return available_index() != state_.next_available;
}

bool Virtqueue::take_interrupt() {
    const uint16_t old_index = state_.signalled_used;
    const uint16_t new_index = state_.next_used;
    if (new_index == old_index) return false;
    state_.signalled_used = new_index;
    full_barrier();
    if (!event_idx_) return (load_acquire(available_ring_) & virtio::kAvailNoInterrupt) == 0;
    const uint16_t event = load_acquire(available_ring_ + available_size() - 2);
    return static_cast<uint16_t>(new_index - event - 1) <
           static_cast<uint16_t>(new_index - old_index);
}

bool Virtqueue::restore(const VirtqueueStateV1& state, uint64_t features) {
    if (!std::has_single_bit(state.size) || state.size > max_size_) return false;
    state_ = state;
    state_.enabled = false;
    if (!state.enabled || enable(features)) return true;
    reset();
    return false;
}

}  // namespace banyan
