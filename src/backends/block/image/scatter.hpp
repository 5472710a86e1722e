// Scatter: the bytes that a request moves, in pieces as a guest gave them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace banyan {

// A part of a scatter list, which it does not own. The list holds at least `size()` bytes.
class Scatter {
public:
    using Buffers = std::span<const std::span<std::byte>>;

    Scatter() = default;
    Scatter(Buffers buffers, uint64_t size) : buffers_(buffers), size_(size) {}

    uint64_t size() const { return size_; }

    Scatter part(uint64_t offset, uint64_t length) const {
        Scatter result(buffers_, length);
        result.skip_ = skip_ + offset;
        while (!result.buffers_.empty() && result.skip_ >= result.buffers_.front().size()) {
            result.skip_ -= result.buffers_.front().size();
            result.buffers_ = result.buffers_.subspan(1);
        }
        return result;
    }

    // Calls each(piece) with the pieces in their order.
    template <class Each>
    void for_each(Each each) const {
        uint64_t skip = skip_;
        uint64_t left = size_;
        for (const auto& buffer : buffers_) {
            if (left == 0) return;
            const uint64_t start = std::min<uint64_t>(skip, buffer.size());
            const uint64_t count = std::min<uint64_t>(buffer.size() - start, left);
            if (count != 0) each(buffer.subspan(start, count));
            skip -= start;
            left -= count;
        }
    }

    void fill_with_zeroes() const {
        for_each([](std::span<std::byte> piece) { std::memset(piece.data(), 0, piece.size()); });
    }

    // `bytes` are as many as size() says.
    void copy_from(std::span<const std::byte> bytes) const {
        for_each([&](std::span<std::byte> piece) {
            std::memcpy(piece.data(), bytes.data(), piece.size());
            bytes = bytes.subspan(piece.size());
        });
    }
    void copy_to(std::span<std::byte> bytes) const {
        for_each([&](std::span<std::byte> piece) {
            std::memcpy(bytes.data(), piece.data(), piece.size());
            bytes = bytes.subspan(piece.size());
        });
    }

private:
    Buffers buffers_;
    uint64_t skip_ = 0;  // into the first buffer
    uint64_t size_ = 0;
};

// One buffer, to be given where a Scatter is wanted.
class OneBuffer {
public:
    explicit OneBuffer(std::span<std::byte> bytes) : bytes_(bytes) {}
    operator Scatter() const {  // NOLINT: what it is there for
        return {std::span(&bytes_, 1), bytes_.size()};
    }

private:
    std::span<std::byte> bytes_;
};

}  // namespace banyan
