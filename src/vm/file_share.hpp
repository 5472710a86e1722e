// The host side of a shared directory: requests of a file system between a device and who serves
// them.
//
// Requests and answers are messages of FUSE, which Linux' kernel header linux/fuse.h defines and
// virtio 1.2, section 5.11, hands on as they are; a device looks at none of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace banyan {

// Both lists point into guest memory, which the guest may change at any time: whoever serves a
// request copies what it looks at first. They stay valid until completion.
struct FsRequest {
    std::span<const std::span<const std::byte>> in = {};  // the message
    std::span<const std::span<std::byte>> out = {};       // room for the answer; none: no answer
    uint64_t cookie = 0;                                  // given back on completion
};

class FsClient {
public:
    // `written` bytes from the start of the room hold the answer. Called with the device's lock
    // held, possibly from within submit().
    virtual void on_fs_complete(uint64_t cookie, uint32_t written) = 0;

protected:
    ~FsClient() = default;
};

class FsBackend {
public:
    virtual ~FsBackend() = default;
    // Completion through `client`; requests may overtake each other.
    virtual void submit(const FsRequest& request, FsClient& client) = 0;
    // Returns when nothing is in flight.
    virtual void drain() = 0;
    // Whether the guest holds references to files, which no saved state carries.
    virtual bool mounted() const = 0;
    // Drops these references. Preconditions: drained.
    virtual void reset() = 0;
};

}  // namespace banyan
