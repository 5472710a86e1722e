// ISA's direct memory access, as a device sees it: a channel of the board's DMA controllers, which
// know the place in memory and how many bytes are left.
#pragma once

#include <cstddef>
#include <span>

namespace banyan {

struct DmaMoved {
    size_t bytes = 0;             // fewer than asked: the count ran out, or the channel is masked
    bool terminal_count = false;  // TC: the last byte moved was the last of the channel's count
};

// The controllers' end. Called from any thread, with the device's lock held.
class DmaSink {
public:
    // The device gives bytes for memory.
    virtual DmaMoved from_device(unsigned channel, std::span<const std::byte> bytes) = 0;
    // The device takes bytes from memory; only the first `bytes` of the result are filled.
    virtual DmaMoved to_device(unsigned channel, std::span<std::byte> bytes) = 0;

protected:
    ~DmaSink() = default;
};

// DREQ, DACK and TC of one channel. A default-made line is not connected: nothing ever moves.
class DmaLine {
public:
    DmaLine() = default;
    DmaLine(DmaSink& sink, unsigned channel) : sink_(&sink), channel_(channel) {}

    DmaMoved from_device(std::span<const std::byte> bytes) const {
        return sink_ != nullptr ? sink_->from_device(channel_, bytes) : DmaMoved{};
    }
    DmaMoved to_device(std::span<std::byte> bytes) const {
        return sink_ != nullptr ? sink_->to_device(channel_, bytes) : DmaMoved{};
    }

private:
    DmaSink* sink_ = nullptr;
    unsigned channel_ = 0;
};

}  // namespace banyan
