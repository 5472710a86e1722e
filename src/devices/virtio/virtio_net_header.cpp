#include "devices/virtio/virtio_net_header.hpp"

#include <algorithm>

namespace banyan {

using namespace virtio;
using Segmentation = NetFrameInfo::Segmentation;

namespace {

constexpr size_t kTcpHeaderSize = 20;
constexpr size_t kUdpHeaderSize = 8;

std::optional<Segmentation> segmentation_of(uint8_t gso_type, uint64_t accepted) {
    const auto if_accepted = [&](Segmentation kind, uint64_t feature) {
        return (accepted & feature) != 0 ? std::optional(kind) : std::nullopt;
    };
    switch (gso_type) {
        case kNetGsoNone: return Segmentation::none;
        case kNetGsoTcp4: return if_accepted(Segmentation::tcp4, kNetHostTso4);
        case kNetGsoTcp6: return if_accepted(Segmentation::tcp6, kNetHostTso6);
        case kNetGsoUdp: return if_accepted(Segmentation::udp, kNetHostUso);
        default: return std::nullopt;
    }
}

uint8_t gso_type_of(const NetFrameInfo& info) {
    const uint8_t ecn = info.ecn ? kNetGsoEcn : 0;
    switch (info.segmentation) {
        case Segmentation::none: return kNetGsoNone;
        case Segmentation::tcp4: return kNetGsoTcp4 | ecn;
        case Segmentation::tcp6: return kNetGsoTcp6 | ecn;
        case Segmentation::udp: return kNetGsoUdp;
    }
    return kNetGsoNone;
}

// The checksum is inside the frame and behind the Ethernet header; what is segmented has a size of
// segments, a checksum to be finished, and a whole header of its protocol.
bool makes_sense(const NetFrameInfo& info, size_t frame_size) {
    const bool segmented = info.segmentation != Segmentation::none;
    if (!info.needs_checksum) return !segmented;
    const size_t start = info.checksum_start;
    if (start < kEthernetHeaderSize || start + info.checksum_offset + 2 > frame_size) return false;
    if (!segmented) return true;
    const bool udp = info.segmentation == Segmentation::udp;
    return info.segment_size != 0 && start + (udp ? kUdpHeaderSize : kTcpHeaderSize) <= frame_size;
}

bool takes(const NetOffloads& offloads, const NetFrameInfo& info) {
    if (info.needs_checksum && !offloads.checksum) return false;
    if (info.ecn && !offloads.ecn) return false;
    switch (info.segmentation) {
        case Segmentation::none: return true;
        case Segmentation::tcp4: return offloads.tcp4;
        case Segmentation::tcp6: return offloads.tcp6;
        case Segmentation::udp: return offloads.udp;
    }
    return false;
}

}  // namespace

// 5.1.6.2: the length of the headers is a hint, and not to be relied on.
std::optional<NetFrameInfo> parse_net_header(const NetHeader& header, size_t frame_size,
                                             uint64_t accepted) {
    NetFrameInfo info;
    info.needs_checksum = (header.flags & kNetNeedsCsum) != 0;
    if (info.needs_checksum && (accepted & kNetCsum) == 0) return std::nullopt;
    const auto kind =
        segmentation_of(static_cast<uint8_t>(header.gso_type & ~kNetGsoEcn), accepted);
    if (!kind) return std::nullopt;
    info.segmentation = *kind;
    info.ecn = (header.gso_type & kNetGsoEcn) != 0;
    if (info.ecn && (*kind == Segmentation::none || (accepted & kNetHostEcn) == 0))
        return std::nullopt;
    if (info.needs_checksum) {
        info.checksum_start = header.csum_start;
        info.checksum_offset = header.csum_offset;
    }
    if (info.segmentation != Segmentation::none) {
        info.segment_size = header.gso_size;
        info.header_length =
            static_cast<uint16_t>(std::min<size_t>(uint16_t{header.hdr_len}, frame_size));
    }
    return makes_sense(info, frame_size) ? std::optional(info) : std::nullopt;
}

std::optional<NetHeader> make_net_header(const NetFrameInfo& info, size_t frame_size,
                                         const NetOffloads& offloads) {
    if (!takes(offloads, info) || !makes_sense(info, frame_size)) return std::nullopt;
    NetHeader header;
    header.num_buffers = uint16_t{1};  // 5.1.6.4.1
    header.gso_type = gso_type_of(info);
    if (info.needs_checksum) {
        header.flags = kNetNeedsCsum;
        header.csum_start = info.checksum_start;
        header.csum_offset = info.checksum_offset;
    } else if (info.checksum_valid && offloads.checksum) {
        header.flags = kNetDataValid;
    }
    if (info.segmentation != Segmentation::none) {
        header.gso_size = info.segment_size;
        header.hdr_len = info.header_length;
    }
    return header;
}

// 5.1.3.1: the others are nothing without checksums.
NetOffloads guest_offloads(uint64_t features) {
    constexpr uint64_t kUso = kNetGuestUso4 | kNetGuestUso6;
    if ((features & kNetGuestCsum) == 0) return {};
    return {
        .checksum = true,
        .tcp4 = (features & kNetGuestTso4) != 0,
        .tcp6 = (features & kNetGuestTso6) != 0,
        .ecn = (features & kNetGuestEcn) != 0,
        .udp = (features & kUso) == kUso,
    };
}

}  // namespace banyan
