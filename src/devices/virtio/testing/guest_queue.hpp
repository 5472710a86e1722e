// The driver's side of a split virtqueue, for tests: makes chains available and takes them back,
// and lets a test write any nonsense into the rings.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "devices/virtio/virtio_regs.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

struct GuestBuffer {
    Gpa gpa;
    uint32_t length = 0;
    bool writable = false;
};

class GuestQueue {
public:
    GuestQueue(GuestMemory& memory, Gpa base, uint16_t size)
        : memory_(&memory), base_(base), size_(size) {
        for (uint64_t offset = 0; offset < bytes(); offset += 2)
            put(base_ + offset, uint16_t{0});
    }

    uint16_t size() const { return size_; }
    Gpa descriptors() const { return base_; }
    Gpa available() const { return base_ + uint64_t{16} * size_; }
    Gpa used() const {
        return {align_up<uint64_t>(available().value + 6 + uint64_t{2} * size_, 4)};
    }
    uint64_t bytes() const { return used() - base_ + 6 + uint64_t{8} * size_; }

    // Writes a chain at the next free descriptors and makes it available. Returns its head.
    uint16_t add(std::span<const GuestBuffer> buffers) {
        const uint16_t head = next_descriptor_;
        for (size_t i = 0; i < buffers.size(); ++i) {
            const bool last = i + 1 == buffers.size();
            const auto index = static_cast<uint16_t>((head + i) % size_);
            write_descriptor(
                index, descriptor(buffers[i], last, static_cast<uint16_t>((index + 1) % size_)));
        }
        next_descriptor_ = static_cast<uint16_t>((head + buffers.size()) % size_);
        make_available(head);
        return head;
    }
    uint16_t add(std::initializer_list<GuestBuffer> buffers) {
        return add(std::span(buffers.begin(), buffers.size()));
    }

    // The same with the chain in a table of its own.
    uint16_t add_indirect(std::span<const GuestBuffer> buffers, Gpa table) {
        for (size_t i = 0; i < buffers.size(); ++i) {
            const bool last = i + 1 == buffers.size();
            put(table + 16 * i, descriptor(buffers[i], last, static_cast<uint16_t>(i + 1)));
        }
        const uint16_t head = next_descriptor_;
        write_descriptor(head, {table.value, static_cast<uint32_t>(16 * buffers.size()),
                                virtio::kDescIndirect, uint16_t{0}});
        next_descriptor_ = static_cast<uint16_t>((head + 1) % size_);
        make_available(head);
        return head;
    }

    std::optional<virtio::UsedElement> take_used() {
        if (used_index() == last_used_) return std::nullopt;
        const auto element =
            get<virtio::UsedElement>(used() + 4 + uint64_t{8} * (last_used_ % size_));
        ++last_used_;
        return element;
    }

    void make_available(uint16_t head) {
        put(available() + 4 + uint64_t{2} * (available_index_ % size_), head);
        set_available_index(static_cast<uint16_t>(available_index_ + 1));
    }
    void set_available_index(uint16_t index) {
        available_index_ = index;
        put(available() + 2, index);
    }
    void set_available_flags(uint16_t flags) { put(available(), flags); }
    void set_used_event(uint16_t index) { put(available() + 4 + uint64_t{2} * size_, index); }
    uint16_t available_event() const { return get<uint16_t>(used() + 4 + uint64_t{8} * size_); }
    uint16_t available_index() const { return available_index_; }
    uint16_t used_index() const { return get<uint16_t>(used() + 2); }
    void write_descriptor(uint16_t index, const virtio::Descriptor& descriptor) {
        put(descriptors() + uint64_t{16} * index, descriptor);
    }

    static virtio::Descriptor descriptor(const GuestBuffer& buffer, bool last, uint16_t next) {
        const auto flags = static_cast<uint16_t>((last ? 0 : virtio::kDescNext) |
                                                 (buffer.writable ? virtio::kDescWrite : 0));
        return {buffer.gpa.value, buffer.length, flags, next};
    }

private:
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
    uint16_t next_descriptor_ = 0;
    uint16_t available_index_ = 0;
    uint16_t last_used_ = 0;
};

}  // namespace banyan
