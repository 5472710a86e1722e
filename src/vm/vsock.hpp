// The host side of a socket device: streams between ports of the guest and whoever is behind them
// on the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "vm/poller.hpp"

namespace banyan {

// The host's end of one stream. It is closed by its destruction. Nothing here waits or calls back,
// so a device may use it with its lock held.
class VsockStream {
public:
    enum class State : uint8_t {
        open,
        waiting,  // no more for now: VsockClient::on_stream_ready() tells of a change, if asked for
        ended,    // no more ever: the other side has ended this direction, or is gone
    };
    struct Moved {
        size_t bytes = 0;  // these were moved, whatever the state is then
        State state = State::open;
    };

    virtual ~VsockStream() = default;

    virtual Moved read(std::span<std::byte> to) = 0;
    virtual Moved write(std::span<const std::byte> from) = 0;
    // The guest writes no more.
    virtual void end_writing() = 0;
    // Of a stream that the host opened: the guest has accepted it. `host_port` is its number there.
    virtual void accepted(uint32_t host_port) = 0;
    // From now on, these are told of, under this number; until the next call.
    virtual void watch(uint32_t cookie, Readiness interest) = 0;
};

// The device's end. Called with the device's lock held, and never from within a call of the
// device's.
class VsockClient {
public:
    // May come although it is no longer true, or the stream is gone.
    virtual void on_stream_ready(uint32_t cookie, Readiness ready) = 0;
    // Somebody on the host wants a port of the guest. To let go of the stream is to refuse it.
    virtual void on_connect(uint32_t guest_port, std::unique_ptr<VsockStream> stream) = 0;
    // Of a guest that stands still: its memory does, too. What the calls above bring waits.
    virtual void hold(bool held) = 0;

protected:
    ~VsockClient() = default;
};

class VsockBackend {
public:
    // A stream that the guest opens to a port of the host; null: nobody is there.
    virtual std::unique_ptr<VsockStream> connect(uint32_t host_port) = 0;

protected:
    ~VsockBackend() = default;
};

}  // namespace banyan
