// The disk that an image holds, whatever its format.
#pragma once

#include "backends/block/image/direct_access.hpp"
#include "backends/block/image/image_file.hpp"

namespace banyan {

// Ranges lie within size(). All but resize() and close() may be called from several threads.
class DiskImage {
public:
    virtual ~DiskImage() = default;

    virtual uint64_t size() const = 0;
    virtual Result<void> read(uint64_t offset, const Scatter& to) = 0;
    virtual Result<void> write(uint64_t offset, const Scatter& from) = 0;
    virtual Result<void> write_zeroes(uint64_t offset, uint64_t length) = 0;
    // What was there is not needed any more.
    virtual Result<void> discard(uint64_t offset, uint64_t length) = 0;
    // What was written before this survives a power cut.
    virtual Result<void> flush() = 0;
    virtual Result<void> resize(uint64_t size) = 0;
    // The last call: flushes, and leaves the file as if it had never been open.
    virtual Result<void> close() = 0;
    // From `offset` on, at most `length`, which is not 0.
    virtual Result<Stretch> stretch(uint64_t offset, uint64_t length) = 0;

    // Whether the caller may carry out the request by itself, in `places`, which are added in the
    // order of the disk. Never waits for a file. `bytes` of read and write; others have none, and
    // `length` says how much. If true, end_direct() follows, also after a failure; who fails may
    // make the same request by the calls above.
    virtual bool begin_direct(DirectKind, uint64_t /*offset*/, uint64_t /*length*/,
                              const Scatter& /*bytes*/, DirectPlaces& /*places*/) {
        return false;
    }
    virtual void end_direct(const DirectPlaces&) {}
};

}  // namespace banyan
