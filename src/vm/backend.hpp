// The host side of devices: small interfaces that a back end implements.
#pragma once

#include <cstdint>
#include <span>

#include "support/result.hpp"

namespace banyan {

// A stream of characters to and from the outside (terminal, file, socket).
class CharBackend {
public:
    // Takes what it can without blocking and returns how many bytes; the rest is tried again by the
    // device when on_writable() comes. A backend that has lost its peer takes and drops everything.
    virtual size_t write(std::span<const uint8_t> bytes) = 0;

protected:
    ~CharBackend() = default;
};

// The device's end of a character stream. Called by the backend with the device's lock held.
class CharClient {
public:
    // How many bytes the device can take now; on_receive() is never called with more.
    virtual size_t receive_room() const = 0;
    virtual void on_receive(std::span<const uint8_t> bytes) = 0;
    // Room again after a short write().
    virtual void on_writable() {}

protected:
    ~CharClient() = default;
};

// Called by a device that has room again after receive_room() was 0.
class CharSource {
public:
    virtual void receive_room_available() = 0;

protected:
    ~CharSource() = default;
};

enum class BlockStatus : uint8_t { ok, io_error, unsupported };

// One request of a disk. Buffers point into guest memory and stay valid until completion.
struct BlockRequest {
    enum class Kind : uint8_t { read, write, flush, discard, write_zeroes };
    Kind kind = Kind::read;
    uint64_t offset = 0;  // bytes
    uint64_t length = 0;  // bytes; for read and write the sum of the buffers
    std::span<const std::span<std::byte>> buffers = {};  // scatter list, valid until completion
    uint64_t cookie = 0;                                 // given back on completion
};

class BlockClient {
public:
    // Called with the device's lock held, possibly from within submit().
    virtual void on_block_complete(uint64_t cookie, BlockStatus status) = 0;

protected:
    ~BlockClient() = default;
};

class BlockBackend {
public:
    virtual ~BlockBackend() = default;
    virtual uint64_t size_bytes() const = 0;
    virtual bool read_only() const = 0;
    // What a device may offer to its guest; other kinds complete as unsupported.
    virtual bool supports(BlockRequest::Kind kind) const {
        return kind != BlockRequest::Kind::discard && kind != BlockRequest::Kind::write_zeroes;
    }
    // The range is inside the disk (the device has checked). Completion through `client`.
    virtual void submit(const BlockRequest& request, BlockClient& client) = 0;
    // Returns when nothing is in flight.
    virtual void drain() = 0;
};

// Random bytes of cryptographic quality.
class EntropySource {
public:
    virtual void fill(std::span<std::byte> bytes) = 0;

protected:
    ~EntropySource() = default;
};

}  // namespace banyan
