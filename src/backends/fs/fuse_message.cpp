#include "backends/fs/fuse_message.hpp"

#include <algorithm>
#include <climits>

namespace banyan {

namespace {

template <class Segments>
uint64_t sum_of(Segments segments) {
    uint64_t sum = 0;
    for (const auto& segment : segments)
        sum += segment.size();
    return sum;
}

// Calls `use(part)` for the pieces of `length` bytes, from byte `skip` on; while it says so.
template <class Segments, class Use>
void for_each_part(Segments segments, uint64_t skip, uint64_t length, Use use) {
    for (const auto& segment : segments) {
        if (skip >= segment.size()) {
            skip -= segment.size();
            continue;
        }
        const uint64_t count = std::min<uint64_t>(segment.size() - skip, length);
        if (count == 0 || !use(segment.subspan(skip, count))) return;
        length -= count;
        skip = 0;
    }
}

bool add_part(std::vector<iovec>& parts, void* at, size_t size) {
    if (parts.size() == IOV_MAX) return false;
    parts.push_back({at, size});
    return true;
}

}  // namespace

uint64_t length_of(FuseSegments segments) {
    return sum_of(segments);
}

uint64_t length_of(FuseRoom room) {
    return sum_of(room);
}

size_t copy_from(FuseSegments segments, uint64_t offset, std::span<std::byte> to) {
    size_t copied = 0;
    for_each_part(segments, offset, to.size(), [&](std::span<const std::byte> part) {
        std::memcpy(to.data() + copied, part.data(), part.size());
        copied += part.size();
        return true;
    });
    return copied;
}

size_t copy_to(FuseRoom room, uint64_t offset, std::span<const std::byte> from) {
    size_t copied = 0;
    for_each_part(room, offset, from.size(), [&](std::span<std::byte> part) {
        std::memcpy(part.data(), from.data() + copied, part.size());
        copied += part.size();
        return true;
    });
    return copied;
}

// SAFETY: pwritev() only reads what an iovec names, though its pointer is not to const.
void parts_of(FuseSegments segments, uint64_t skip, uint64_t length, std::vector<iovec>& parts) {
    parts.clear();
    for_each_part(segments, skip, length, [&](std::span<const std::byte> part) {
        return add_part(parts, const_cast<std::byte*>(part.data()), part.size());
    });
}

void parts_of(FuseRoom room, uint64_t skip, uint64_t length, std::vector<iovec>& parts) {
    parts.clear();
    for_each_part(room, skip, length, [&](std::span<std::byte> part) {
        return add_part(parts, part.data(), part.size());
    });
}

const char* FuseArguments::take_text() {
    if (bytes_.empty()) return nullptr;
    const void* end = std::memchr(bytes_.data(), 0, bytes_.size());
    if (end == nullptr) return nullptr;
    const auto* text = reinterpret_cast<const char*>(bytes_.data());
    bytes_ = bytes_.subspan(static_cast<size_t>(static_cast<const char*>(end) - text) + 1);
    return text;
}

std::optional<std::span<const std::byte>> FuseArguments::take_bytes(size_t size) {
    if (bytes_.size() < size) return std::nullopt;
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
}

}  // namespace banyan
