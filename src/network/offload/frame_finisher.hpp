// FrameFinisher: makes finished frames of what a sender left to be segmented and summed.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "network/packets/headers.hpp"
#include "vm/network.hpp"

namespace banyan {

class FrameFinisher {
public:
    using Emit = std::function<void(const NetFrame&)>;

    // More segments of one frame than this are not made: a sender could have its bytes multiplied.
    static constexpr size_t kMostSegments = 1024;

    FrameFinisher();

    // Emits the frame in a form that a receiver with these offloads takes: as it is, or copied and
    // finished. Frames that are emitted are valid during the call only. False: it is malformed, and
    // nothing was emitted.
    bool finish(const NetFrame& frame, const NetOffloads& taken, const Emit& emit);

    static bool takes(const NetOffloads& taken, const NetFrameInfo& info);

private:
    // Where things stand in the copy, and the headers as every segment has them.
    struct Layout {
        size_t network = 0;    // the IP header
        size_t transport = 0;  // TCP or UDP
        size_t payload = 0;
        std::optional<Ipv4Header> ipv4;
        std::optional<Ipv6Header> ipv6;
    };

    bool sum(const NetFrame& frame, const Emit& emit);
    bool segment(const NetFrame& frame, const Emit& emit);
    std::optional<Layout> find_layout(const NetFrameInfo& info, size_t size) const;
    void emit_segment(const Layout& layout, const NetFrameInfo& info, size_t offset, size_t size,
                      const Emit& emit);
    void put_network_header(const Layout& layout, size_t index, size_t size);
    void put_transport_header(const Layout& layout, const NetFrameInfo& info, size_t offset,
                              size_t size);
    uint16_t transport_checksum(const Layout& layout, size_t offset, size_t size) const;

    std::vector<std::byte> copy_;
    size_t copy_size_ = 0;
    std::vector<std::byte> header_;  // of the segment that is made
};

}  // namespace banyan
