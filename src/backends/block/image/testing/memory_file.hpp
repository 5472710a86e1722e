// A file in memory.
#pragma once

#include <vector>

#include "backends/block/image/image_file.hpp"

namespace banyan {

class MemoryFile : public ImageFile {
public:
    using Bytes = std::vector<std::byte>;

    MemoryFile() = default;
    explicit MemoryFile(Bytes bytes) : bytes_(std::move(bytes)) {}

    Bytes& bytes() { return bytes_; }
    // Of writes that reach beyond it, none succeeds.
    void limit_to(uint64_t bytes) { limit_ = bytes; }
    void fail_flushes(bool fail) { flushes_fail_ = fail; }
    unsigned flushes() const { return flushes_; }

    uint64_t size() const override { return bytes_.size(); }

    Result<void> read(uint64_t offset, const Scatter& to) override {
        to.for_each([&](std::span<std::byte> piece) {
            const uint64_t there = offset < bytes_.size() ? bytes_.size() - offset : 0;
            const uint64_t count = std::min<uint64_t>(there, piece.size());
            if (count != 0) std::memcpy(piece.data(), &bytes_[offset], count);
            std::memset(piece.data() + count, 0, piece.size() - count);
            offset += piece.size();
        });
        return {};
    }

    Result<void> write(uint64_t offset, const Scatter& from) override {
        if (offset > limit_ || from.size() > limit_ - offset) {
            return fail(ErrorCode::io, "the file in memory: it is full; this is a test");
        }
        bytes_.resize(std::max<uint64_t>(bytes_.size(), offset + from.size()));
        if (from.size() != 0) from.copy_to(std::span(bytes_).subspan(offset, from.size()));
        return {};
    }

    Result<void> flush() override {
        ++flushes_;
        if (!flushes_fail_) return {};
        return fail(ErrorCode::io, "the file in memory: it cannot flush; this is a test");
    }
    Result<void> resize(uint64_t size) override {
        bytes_.resize(size);
        return {};
    }
    Result<void> write_zeroes(uint64_t offset, uint64_t length) override {
        Bytes zeroes(length);
        return write(offset, OneBuffer(zeroes));
    }
    Result<void> discard(uint64_t offset, uint64_t length) override {
        if (offset >= bytes_.size()) return {};
        return write_zeroes(offset, std::min<uint64_t>(length, bytes_.size() - offset));
    }
    Stretch stretch(uint64_t, uint64_t length) override { return {false, length}; }

private:
    Bytes bytes_;
    uint64_t limit_ = uint64_t{1} << 30;
    bool flushes_fail_ = false;
    unsigned flushes_ = 0;
};

}  // namespace banyan
