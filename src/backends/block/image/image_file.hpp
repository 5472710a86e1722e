// What a disk image lies in: a file of the host, or in tests a simulated one that loses power.
#pragma once

#include <cstdint>
#include <span>

#include "backends/block/image/scatter.hpp"
#include "support/result.hpp"

namespace banyan {

// Bytes from some offset on that are alike.
struct Stretch {
    bool zeroes = false;  // known to read as zeroes, without reading them
    uint64_t length = 0;
};

// What those need who move a file's bytes by themselves.
struct FileAccess {
    int descriptor = -1;     // by which the host knows it; -1: only by the calls of ImageFile
    uint32_t alignment = 1;  // bytes: of offsets, lengths and memory
};

// May be called from several threads. Errors say which file, why and what to do.
class ImageFile {
public:
    virtual ~ImageFile() = default;

    virtual uint64_t size() const = 0;
    // What lies beyond the end reads as zeroes.
    virtual Result<void> read(uint64_t offset, const Scatter& to) = 0;
    // Beyond the end: the file grows, and reads as zeroes in between.
    virtual Result<void> write(uint64_t offset, const Scatter& from) = 0;
    // A barrier: what was written before survives a power cut, if this succeeds. Until then any
    // part of it may, sector by sector.
    virtual Result<void> flush() = 0;
    virtual Result<void> resize(uint64_t size) = 0;
    // Reads as zeroes afterwards, and takes no space if that can be.
    virtual Result<void> write_zeroes(uint64_t offset, uint64_t length) = 0;
    // Gives space back. The bytes are as before, or zeroes.
    virtual Result<void> discard(uint64_t offset, uint64_t length) = 0;
    // From `offset` on, at most `length`, which is not 0.
    virtual Stretch stretch(uint64_t offset, uint64_t length) = 0;

    // Of read and write; flush, discard and write_zeroes know no alignment.
    virtual FileAccess access() const { return {}; }

    Result<void> read_bytes(uint64_t offset, std::span<std::byte> to) {
        return read(offset, OneBuffer(to));
    }
    Result<void> write_bytes(uint64_t offset, std::span<std::byte> from) {
        return write(offset, OneBuffer(from));
    }
};

}  // namespace banyan
