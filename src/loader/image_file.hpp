// ImageFile: a kernel or an initrd as the loader sees it: a file that may lie about its own
// offsets, and whose bytes go from there straight to where they belong.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "support/result.hpp"

namespace banyan::loader {

class ImageFile {
public:
    virtual uint64_t size() const = 0;
    // The bytes from `offset` on, which are inside. What cannot be read is an error of the host.
    virtual Result<void> read(uint64_t offset, std::span<std::byte> to) const = 0;

    bool has(uint64_t offset, uint64_t length) const {
        return offset <= size() && length <= size() - offset;
    }
    // Nothing: it is not all there, or cannot be read.
    std::optional<std::vector<std::byte>> part(uint64_t offset, uint64_t length) const {
        if (!has(offset, length)) return std::nullopt;
        std::vector<std::byte> bytes(length);
        if (!read(offset, bytes)) return std::nullopt;
        return bytes;
    }
    template <class T>
    requires std::is_trivially_copyable_v<T> std::optional<T> object(uint64_t offset)
    const {
        T value;
        const bool good = has(offset, sizeof(T)) &&
                          read(offset, std::as_writable_bytes(std::span(&value, 1))).has_value();
        return good ? std::optional(value) : std::nullopt;
    }

protected:
    ~ImageFile() = default;
};

// One that is in memory.
class ImageBytes final : public ImageFile {
public:
    explicit ImageBytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

    uint64_t size() const override { return bytes_.size(); }
    Result<void> read(uint64_t offset, std::span<std::byte> to) const override {
        const auto from = bytes_.subspan(offset, to.size());
        std::copy(from.begin(), from.end(), to.begin());
        return {};
    }

private:
    std::span<const std::byte> bytes_;
};

}  // namespace banyan::loader
