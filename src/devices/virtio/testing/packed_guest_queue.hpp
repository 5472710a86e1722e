// The driver's side of a packed virtqueue, for tests: makes chains available and takes them back,
// and lets a test write any nonsense into the ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "devices/virtio/testing/guest_queue.hpp"
#include "devices/virtio/virtio_regs.hpp"
#include "support/assert.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

class PackedGuestQueue {
public:
    PackedGuestQueue(GuestMemory& memory, Gpa base, uint16_t size)
        : memory_(&memory), base_(base), size_(size) {
        for (uint64_t offset = 0; offset < bytes(); offset += 4)
            put(base_ + offset, uint32_t{0});
    }

    uint16_t size() const { return size_; }
    Gpa descriptors() const { return base_; }
    Gpa available() const { return base_ + uint64_t{16} * size_; }  // the driver's events
    Gpa used() const { return available() + 4; }                    // the device's events
    uint64_t bytes() const { return uint64_t{16} * size_ + 8; }

    // Writes a chain at the next descriptors and makes it available. The driver's name for it: ids
    // are counted up, so that they are no positions. Returns the id.
    uint16_t add(std::span<const GuestBuffer> buffers) {
        const uint16_t first = next_;
        uint16_t first_flags = 0;
        const uint16_t id = next_id_++;
        for (size_t i = 0; i < buffers.size(); ++i) {
            const GuestBuffer& buffer = buffers[i];
            const auto flags =
                static_cast<uint16_t>((i + 1 == buffers.size() ? 0 : virtio::kDescNext) |
                                      (buffer.writable ? virtio::kDescWrite : 0));
            put_body(next_, {buffer.gpa.value, buffer.length, id, uint16_t{0}});
            if (i == 0) {
                first_flags = marked(flags);
            } else {
                put_flags(next_, marked(flags));
            }
            step(1);
        }
        put_flags(first, first_flags);
        return id;
    }
    uint16_t add(std::initializer_list<GuestBuffer> buffers) {
        return add(std::span(buffers.begin(), buffers.size()));
    }

    // The same with the chain in a table of its own.
    uint16_t add_indirect(std::span<const GuestBuffer> buffers, Gpa table) {
        for (size_t i = 0; i < buffers.size(); ++i) {
            const auto flags = static_cast<uint16_t>(buffers[i].writable ? virtio::kDescWrite : 0);
            put(table + 16 * i, virtio::PackedDescriptor{buffers[i].gpa.value, buffers[i].length,
                                                         uint16_t{0}, flags});
        }
        const uint16_t id = next_id_++;
        add_raw(
            {table.value, static_cast<uint32_t>(16 * buffers.size()), id, virtio::kDescIndirect});
        return id;
    }

    // One descriptor as it is, marked available.
    void add_raw(const virtio::PackedDescriptor& descriptor) {
        put_body(next_, descriptor);
        put_flags(next_, marked(descriptor.flags));
        step(1);
    }

    // What comes next of what the device has used; `count` descriptors are skipped with it.
    std::optional<virtio::UsedElement> take_used(uint16_t count = 1) {
        const auto used = get<virtio::PackedDescriptor>(place(next_used_));
        const bool avail = (used.flags & virtio::kPackedAvail) != 0;
        const bool is_used = (used.flags & virtio::kPackedUsed) != 0;
        if (avail != used_wrap_ || is_used != used_wrap_) return std::nullopt;
        const uint32_t next = uint32_t{next_used_} + count;
        used_wrap_ = used_wrap_ != (next >= size_);
        next_used_ = static_cast<uint16_t>(next % size_);
        last_flags_ = used.flags;
        return virtio::UsedElement{uint32_t{used.id}, used.length};
    }
    // Of what take_used() gave last.
    uint16_t last_flags() const { return last_flags_; }

    void set_event(uint16_t position, uint16_t flags) {
        put(available(), static_cast<uint32_t>(position | uint32_t{flags} << 16));
    }
    uint32_t device_event() const { return get<uint32_t>(used()); }
    // Where the next chain will begin, as a position with its wrap counter.
    uint16_t position() const {
        return static_cast<uint16_t>(next_ | (wrap_ ? virtio::kPackedWrap : 0));
    }
    void write_descriptor(uint16_t index, const virtio::PackedDescriptor& descriptor) {
        put(place(index), descriptor);
    }

private:
    Gpa place(uint16_t index) const { return base_ + uint64_t{16} * index; }
    uint16_t marked(uint16_t flags) const {
        return static_cast<uint16_t>(flags | (wrap_ ? virtio::kPackedAvail : virtio::kPackedUsed));
    }
    void step(uint16_t count) {
        const uint32_t next = uint32_t{next_} + count;
        wrap_ = wrap_ != (next >= size_);
        next_ = static_cast<uint16_t>(next % size_);
    }
    void put_body(uint16_t index, virtio::PackedDescriptor descriptor) {
        descriptor.flags = get<virtio::PackedDescriptor>(place(index)).flags;
        put(place(index), descriptor);
    }
    void put_flags(uint16_t index, uint16_t flags) {
        put(place(index) + offsetof(virtio::PackedDescriptor, flags), flags);
    }
    template <class T>
    void put(Gpa gpa, const T& value) {
        BANYAN_ASSERT(memory_->write_object(gpa, value));
    }
    template <class T>
    T get(Gpa gpa) const {
        T value{};
        BANYAN_ASSERT(memory_->read_object(gpa, value));
        return value;
    }

    GuestMemory* memory_;
    Gpa base_;
    uint16_t size_;
    uint16_t next_ = 0;
    uint16_t next_used_ = 0;
    uint16_t next_id_ = 100;
    uint16_t last_flags_ = 0;
    bool wrap_ = true;
    bool used_wrap_ = true;
};

}  // namespace banyan
