#include "devices/virtio/descriptor_chain.hpp"

#include <algorithm>
#include <cstring>

namespace banyan {

void DescriptorChain::clear(uint16_t head) {
    head_ = head;
    segments_.clear();
    readable_count_ = 0;
    readable_length_ = 0;
    writable_length_ = 0;
}

bool DescriptorChain::append(GuestMemory& memory, Gpa gpa, uint32_t length, Access access) {
    if (length == 0) return true;
    if (segments_.size() == max_segments_) return false;
    // 2.7.5 and 2.8.5: all of a chain is at most 4 GiB; one byte less lets the used element tell
    // its length.
    if (readable_length_ + writable_length_ + length > UINT32_MAX) return false;
    std::byte* host = nullptr;
    if (access == Access::writable) {
        host = memory.writable_range(gpa, length).data();
        writable_length_ += length;
    } else {
        // 2.7.4.2: what the device reads comes before what it writes.
        if (writable_length_ != 0) return false;
        // SAFETY: readable segments are only read, but share their type with writable ones.
        host = const_cast<std::byte*>(memory.readable_range(gpa, length).data());
        readable_length_ += length;
        ++readable_count_;
    }
    if (host == nullptr) return false;
    segments_.push_back({gpa, host, length});
    return true;
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

}  // namespace banyan
