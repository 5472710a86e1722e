// The host side of network cards: Ethernet frames between a device and what it is connected to.
//
// A frame is Ethernet II from the destination address on, without FCS. With offloads a frame may be
// larger than the link's MTU and its checksum unfinished, as in a virtio-net header (virtio 1.2,
// 5.1.6); each side says what it takes, and the other segments and finishes checksums itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "support/result.hpp"

namespace banyan {

// What a receiver of frames takes beyond plain ones.
struct NetOffloads {
    bool checksum = false;  // unfinished checksums
    bool tcp4 = false;      // TCP segments larger than the MTU
    bool tcp6 = false;
    bool ecn = false;  // such segments with CWR
    bool udp = false;  // UDP datagrams to be segmented (USO)

    bool operator==(const NetOffloads&) const = default;
};

struct NetFrameInfo {
    enum class Segmentation : uint8_t { none, tcp4, tcp6, udp };

    // The checksum's field holds the sum of the pseudo header; to be added: all from
    // `checksum_start`. Both in bytes from the start of the frame.
    bool needs_checksum = false;
    bool checksum_valid = false;  // known to be right
    uint16_t checksum_start = 0;
    uint16_t checksum_offset = 0;  // of the field, from checksum_start
    Segmentation segmentation = Segmentation::none;
    bool ecn = false;
    uint16_t segment_size = 0;   // payload of each, if segmented
    uint16_t header_length = 0;  // Ethernet to TCP or UDP, a hint
};

inline constexpr size_t kEthernetHeaderSize = 14;
inline constexpr uint16_t kEthernetMtu = 1500;
// An IP packet of 65535 bytes, its Ethernet header and a VLAN tag.
inline constexpr size_t kLargestNetFrame = 65535 + kEthernetHeaderSize + 4;

// `parts` may lie in guest memory, which the guest changes at any time: whoever looks into a frame
// copies what it looks at first. Valid during the call only.
struct NetFrame {
    std::span<const std::span<const std::byte>> parts;
    size_t size = 0;  // the sum of the parts, at most kLargestNetFrame
    NetFrameInfo info;
};

// Copies the first bytes of the frame, as many as there are or fit; returns how many.
inline size_t copy_frame(const NetFrame& frame, std::span<std::byte> to) {
    size_t copied = 0;
    for (const std::span<const std::byte> part : frame.parts) {
        const size_t count = std::min(part.size(), to.size() - copied);
        if (count != 0) std::memcpy(to.data() + copied, part.data(), count);
        copied += count;
        if (copied == to.size()) break;
    }
    return copied;
}

// The device's end. Called by the back end with the device's lock held, never from within a call of
// the device's, and by one thread at a time.
class NetClient {
public:
    // Takes the first frames of these, and returns how many; the back end keeps or drops the
    // others, and waits for receive_room_available(). Frames that the device filters out count as
    // taken. One call, one interrupt: give as many as there are.
    virtual size_t on_frames(std::span<const NetFrame> frames) = 0;
    // Room again after a short send().
    virtual void on_send_room() {}
    virtual void on_link_changed(bool /*up*/) {}

protected:
    ~NetClient() = default;
};

class NetBackend {
public:
    virtual ~NetBackend() = default;

    // What send() takes.
    virtual NetOffloads offloads() const { return {}; }
    // What the client's on_frames() takes from now on; nothing after a reset.
    virtual void set_client_offloads(const NetOffloads& /*offloads*/) {}
    // The largest IP packet that the client's on_frames() takes, but for segments that are larger
    // by its offloads. Before start().
    virtual void set_client_mtu(uint16_t /*mtu*/) {}
    virtual bool link_up() const { return true; }

    // Frames flow, and the client is called, between these two. stop() waits for a call that is on.
    virtual Result<void> start(NetClient& client) = 0;
    virtual void stop() = 0;

    // Takes the first frames of these without waiting, and returns how many. The rest is tried
    // again by the device when on_send_room() comes. Frames that cannot be delivered are taken,
    // dropped and counted.
    virtual size_t send(std::span<const NetFrame> frames) = 0;
    // The device has room again after on_frames() took too few.
    virtual void receive_room_available() = 0;
};

}  // namespace banyan
