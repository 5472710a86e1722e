// Between the header that is before each frame of a virtio network card (virtio 1.2, section 5.1.6)
// and what Banyan's back ends say of a frame. What a guest wrote is believed only if it makes sense
// for a frame of that size.
#pragma once

#include <cstddef>
#include <optional>

#include "devices/virtio/virtio_net_regs.hpp"
#include "vm/network.hpp"

namespace banyan {

// Of a frame that the driver sends; `accepted` are the features that it has negotiated. Nothing:
// the header breaks a rule.
std::optional<NetFrameInfo> parse_net_header(const virtio::NetHeader& header, size_t frame_size,
                                             uint64_t accepted);

// For a frame that the driver receives; `offloads` are what it takes. Nothing: the driver cannot
// take such a frame, or there can be none.
std::optional<virtio::NetHeader> make_net_header(const NetFrameInfo& info, size_t frame_size,
                                                 const NetOffloads& offloads);

// What a driver takes, by the features (or the offloads set later) of its own direction.
NetOffloads guest_offloads(uint64_t features);

}  // namespace banyan
