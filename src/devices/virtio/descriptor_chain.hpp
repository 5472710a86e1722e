// DescriptorChain: one buffer that the driver made available, as the device works with it: pieces
// that are resolved and inside guest memory (virtio 1.2, section 2.6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

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

// Segments that the device may read, then segments that it may write. Has room for a fixed number
// of segments, so that filling it does not allocate.
class DescriptorChain {
public:
    explicit DescriptorChain(uint16_t max_segments) : max_segments_(max_segments) {
        segments_.reserve(max_segments);
    }

    // Names the chain when it is given back. A number of the queue's, below its size.
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

    enum class Access : uint8_t { readable, writable };

    void clear(uint16_t head);
    // False when the driver has broken a rule: the piece is outside of guest memory, too much, or
    // in the wrong order.
    bool append(GuestMemory& memory, Gpa gpa, uint32_t length, Access access);

    uint16_t max_segments_;
    uint16_t head_ = 0;
    std::vector<VirtioSegment> segments_;
    size_t readable_count_ = 0;
    uint64_t readable_length_ = 0;
    uint64_t writable_length_ = 0;
};

}  // namespace banyan
