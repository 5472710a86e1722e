// NetFlows: to which of several queues a received frame goes: to that on which the driver sends
// frames of the same flow (virtio 1.2, section 5.1.6.5.5, "automatic receive steering").
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace banyan {

class NetFlows {
public:
    // An Ethernet header, the longest IPv4 header, ports.
    static constexpr size_t kStart = 14 + 60 + 4;

    // Both take the first bytes of a frame, kStart of them or all that there are.
    void note_sent(std::span<const uint8_t> start, unsigned pair) {
        pairs_[hash(start)] = static_cast<uint8_t>(pair);
    }
    unsigned pair_for(std::span<const uint8_t> start) const { return pairs_[hash(start)]; }
    void reset() { pairs_ = {}; }

private:
    // The same for both directions of a flow.
    static uint8_t hash(std::span<const uint8_t> start);

    std::array<uint8_t, 256> pairs_{};
};

}  // namespace banyan
