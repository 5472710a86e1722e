// The split layout: a table of descriptors, a ring of heads that are available, a ring of those
// that were used (virtio 1.2, section 2.7).
#include <cstring>

#include "devices/virtio/virtqueue.hpp"
#include "devices/virtio/virtqueue_memory.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace virtqueue_memory;
using virtio::Descriptor;

namespace {

// Offsets in the available ring (2.7.6) and the used ring (2.7.8); both start with 16 bits of
// flags.
constexpr uint64_t kRingIndex = 2;
constexpr uint64_t kRingEntries = 4;

}  // namespace

bool Virtqueue::map_split() {
    const bool aligned = is_aligned<uint64_t>(state_.descriptors, 16) &&
                         is_aligned<uint64_t>(state_.available, 2) &&
                         is_aligned<uint64_t>(state_.used, 4);
    if (!aligned) return false;
    descriptor_table_ = memory_.readable_range(descriptors(), sizeof(Descriptor) * state_.size);
    available_ring_ = memory_.readable_range(available(), available_size()).data();
    used_ring_ = memory_.writable_range(used(), used_size()).data();
    return !descriptor_table_.empty() && available_ring_ != nullptr && used_ring_ != nullptr;
}

uint16_t Virtqueue::available_index() const {
    return load_acquire<uint16_t>(available_ring_ + kRingIndex);
}

Virtqueue::Next Virtqueue::peek_split(DescriptorChain& chain) {
    const auto waiting = static_cast<uint16_t>(available_index() - state_.next_available);
    if (waiting == 0) return Next::empty;
    if (waiting > state_.size) return Next::broken;
    const uint64_t slot = state_.next_available & (state_.size - 1U);
    const auto head = load_acquire<uint16_t>(available_ring_ + kRingEntries + 2 * slot);
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
        const auto access = (descriptor.flags & virtio::kDescWrite) != 0
                                ? DescriptorChain::Access::writable
                                : DescriptorChain::Access::readable;
        if (!chain.append(memory_, {descriptor.address}, descriptor.length, access))
            return Next::broken;
        if ((descriptor.flags & virtio::kDescNext) == 0) return Next::chain;
        index = descriptor.next;
    }
    return Next::broken;
}

// 2.7.5.3.1: not together with NEXT. WRITE has no meaning here (2.7.5.3.2).
bool Virtqueue::enter_indirect(const Descriptor& descriptor,
                               std::span<const std::byte>& table) const {
    if ((descriptor.flags & virtio::kDescNext) != 0) return false;
    return indirect_table({descriptor.address}, descriptor.length, table);
}

void Virtqueue::push_split(std::span<const UsedChain> chains) {
    for (const UsedChain& chain : chains)
        write_used_element(chain);
    store_used(kRingIndex, state_.next_used);
}

void Virtqueue::write_used_element(const UsedChain& chain) {
    const uint64_t offset =
        kRingEntries + sizeof(virtio::UsedElement) * (state_.next_used & (state_.size - 1U));
    const virtio::UsedElement element{chain.head, chain.written};
    std::memcpy(used_ring_ + offset, &element, sizeof(element));
    memory_.written(used() + offset, sizeof(element));
    ++state_.next_used;
}

void Virtqueue::store_used(uint64_t offset, uint16_t value) {
    store_release(used_ring_ + offset, value);
    memory_.written(used() + offset, sizeof(value));
}

bool Virtqueue::arm_split() {
    // Without the event index the driver always notifies: the flag that asks it not to is never
    // set.
    if (event_idx_) store_used(used_size() - 2, state_.next_available);
    full_barrier();
    return available_index() != state_.next_available;
}

bool Virtqueue::take_interrupt_split() {
    const uint16_t old_index = state_.signalled_used;
    const uint16_t new_index = state_.next_used;
    if (new_index == old_index) return false;
    state_.signalled_used = new_index;
    full_barrier();
    if (!event_idx_)
        return (load_acquire<uint16_t>(available_ring_) & virtio::kAvailNoInterrupt) == 0;
    const auto event = load_acquire<uint16_t>(available_ring_ + available_size() - 2);
    return static_cast<uint16_t>(new_index - event - 1) <
           static_cast<uint16_t>(new_index - old_index);
}

}  // namespace banyan
