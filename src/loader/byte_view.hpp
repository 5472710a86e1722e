// ByteView: reads from a file that may lie about its own offsets.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace banyan::loader {

class ByteView {
public:
    explicit ByteView(std::span<const std::byte> bytes) : bytes_(bytes) {}

    uint64_t size() const { return bytes_.size(); }

    // The bytes [offset, offset + length), or nothing when they are not all there.
    std::optional<std::span<const std::byte>> range(uint64_t offset, uint64_t length) const {
        if (offset > bytes_.size() || length > bytes_.size() - offset) return std::nullopt;
        return bytes_.subspan(offset, length);
    }

    template <class T>
    requires std::is_trivially_copyable_v<T> std::optional<T> read(uint64_t offset)
    const {
        const auto found = range(offset, sizeof(T));
        if (!found) return std::nullopt;
        T value;
        std::memcpy(&value, found->data(), sizeof(T));
        return value;
    }

private:
    std::span<const std::byte> bytes_;
};

}  // namespace banyan::loader
