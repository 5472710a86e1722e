// The bytes of a fuzz target's case, for targets that make images of them: numbers first, the rest
// as an image. Numbers are zero when nothing is left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/block/image/testing/memory_file.hpp"

namespace banyan {

class FuzzInput {
public:
    FuzzInput(const uint8_t* data, size_t size) : bytes_(data, size) {}
    bool empty() const { return bytes_.empty(); }
    uint64_t number(unsigned size) {
        uint64_t value = 0;
        for (; size > 0 && !bytes_.empty(); --size) {
            value = value << 8 | bytes_[0];
            bytes_ = bytes_.subspan(1);
        }
        return value;
    }
    MemoryFile::Bytes rest() const {
        const auto bytes = std::as_bytes(bytes_);
        return {bytes.begin(), bytes.end()};
    }

private:
    std::span<const uint8_t> bytes_;
};

}  // namespace banyan
