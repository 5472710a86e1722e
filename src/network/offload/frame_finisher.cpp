#include "network/offload/frame_finisher.hpp"

#include <algorithm>
#include <array>

#include "network/packets/frame_bytes.hpp"
#include "network/packets/internet_checksum.hpp"

namespace banyan {

namespace {

using Segmentation = NetFrameInfo::Segmentation;

constexpr size_t kLargestHeaders = 512;  // Ethernet to TCP, with options and extensions

// RFC 768: a sum of 0 is sent as its other form; TCP may not care (RFC 1624, 3).
uint16_t as_sent(uint16_t checksum) {
    return checksum == 0 ? uint16_t{0xFFFF} : checksum;
}

// Behind the tags, of which there may be two.
std::optional<size_t> find_network_header(std::span<const std::byte> bytes, uint16_t wanted_type) {
    constexpr int kMostTags = 2;
    size_t at = sizeof(EthernetHeader) - sizeof(be16);
    for (int tags = 0; tags <= kMostTags; ++tags) {
        const auto type = header_at<be16>(bytes, at);
        if (!type) return {};
        if (*type == wanted_type) return at + sizeof(be16);
        if (*type != ethertype::kVlan) return {};
        at += sizeof(VlanTag);
    }
    return {};
}

bool is_tcp(const NetFrameInfo& info) {
    return info.segmentation == Segmentation::tcp4 || info.segmentation == Segmentation::tcp6;
}

}  // namespace

FrameFinisher::FrameFinisher() : copy_(kLargestNetFrame), header_(kLargestHeaders) {}

bool FrameFinisher::takes(const NetOffloads& taken, const NetFrameInfo& info) {
    if (info.needs_checksum && !taken.checksum) return false;
    // A flag of segments: without them it says nothing.
    if (info.segmentation != Segmentation::none && info.ecn && !taken.ecn) return false;
    switch (info.segmentation) {
        case Segmentation::none: return true;
        case Segmentation::tcp4: return taken.tcp4;
        case Segmentation::tcp6: return taken.tcp6;
        case Segmentation::udp: return taken.udp;
    }
    return false;
}

bool FrameFinisher::finish(const NetFrame& frame, const NetOffloads& taken, const Emit& emit) {
    if (frame.size > copy_.size() || !is_consistent(frame.info, frame.size)) return false;
    if (takes(taken, frame.info)) {
        emit(frame);
        return true;
    }
    copy_size_ = copy_frame(frame, std::span(copy_).first(frame.size));
    if (copy_size_ != frame.size) return false;
    return frame.info.segmentation == Segmentation::none ? sum(frame, emit) : segment(frame, emit);
}

bool FrameFinisher::sum(const NetFrame& frame, const Emit& emit) {
    const std::span<std::byte> copy = std::span(copy_).first(copy_size_);
    const size_t start = frame.info.checksum_start;
    const uint16_t checksum = InternetChecksum().add(copy.subspan(start)).value();
    put_header(copy, start + frame.info.checksum_offset, be16(as_sent(checksum)));
    const std::span<const std::byte> part = copy;
    emit({std::span(&part, 1), part.size(), {.checksum_valid = true}});
    return true;
}

// The sender's checksum_start is where TCP or UDP begins: behind extensions of IPv6, too.
std::optional<FrameFinisher::Layout> FrameFinisher::find_layout(const NetFrameInfo& info,
                                                                size_t size) const {
    const std::span<const std::byte> copy = std::span(copy_).first(size);
    Layout layout;
    layout.transport = info.checksum_start;
    size_t network_end = 0;
    if (const auto v4 = find_network_header(copy, ethertype::kIpv4);
        v4 && info.segmentation != Segmentation::tcp6) {
        layout.network = *v4;
        layout.ipv4 = header_at<Ipv4Header>(copy, *v4);
        if (!layout.ipv4 || !layout.ipv4->is_well_formed() || layout.ipv4->is_fragment()) return {};
        network_end = *v4 + layout.ipv4->size();
        if (layout.transport != network_end) return {};
    } else if (const auto v6 = find_network_header(copy, ethertype::kIpv6);
               v6 && info.segmentation != Segmentation::tcp4) {
        layout.network = *v6;
        layout.ipv6 = header_at<Ipv6Header>(copy, *v6);
        if (!layout.ipv6 || !layout.ipv6->is_well_formed()) return {};
        network_end = *v6 + sizeof(Ipv6Header);
        if (layout.transport < network_end) return {};
    } else {
        return {};
    }
    if (is_tcp(info)) {
        const auto tcp = header_at<TcpHeader>(copy, layout.transport);
        if (!tcp || tcp->size() < sizeof(TcpHeader)) return {};
        layout.payload = layout.transport + tcp->size();
    } else {
        layout.payload = layout.transport + sizeof(UdpHeader);
    }
    if (layout.payload > size || layout.payload > kLargestHeaders) return {};
    return layout;
}

bool FrameFinisher::segment(const NetFrame& frame, const Emit& emit) {
    const auto layout = find_layout(frame.info, copy_size_);
    if (!layout) return false;
    const size_t payload = copy_size_ - layout->payload;
    const size_t each = frame.info.segment_size;
    if (payload > each * kMostSegments) return false;
    size_t offset = 0;
    do {
        const size_t size = std::min(each, payload - offset);
        emit_segment(*layout, frame.info, offset, size, emit);
        offset += size;
    } while (offset < payload);
    return true;
}

void FrameFinisher::emit_segment(const Layout& layout, const NetFrameInfo& info, size_t offset,
                                 size_t size, const Emit& emit) {
    std::copy_n(copy_.begin(), layout.payload, header_.begin());
    put_network_header(layout, offset / info.segment_size, size);
    put_transport_header(layout, info, offset, size);
    const std::array<std::span<const std::byte>, 2> parts{
        std::span<const std::byte>(header_).first(layout.payload),
        std::span<const std::byte>(copy_).subspan(layout.payload + offset, size)};
    emit({parts, layout.payload + size, {.checksum_valid = true}});
}

void FrameFinisher::put_network_header(const Layout& layout, size_t index, size_t size) {
    const size_t from_network = layout.payload - layout.network + size;
    if (layout.ipv4) {
        Ipv4Header ip = *layout.ipv4;
        ip.total_length = static_cast<uint16_t>(from_network);
        ip.identification = static_cast<uint16_t>(ip.identification + index);
        ip.checksum = uint16_t{0};
        put_header<Ipv4Header>(header_, layout.network, ip);
        const auto whole = std::span(header_).subspan(layout.network, ip.size());
        ip.checksum = ipv4_header_checksum(whole);
        put_header<Ipv4Header>(header_, layout.network, ip);
    } else {
        Ipv6Header ip = *layout.ipv6;
        ip.payload_length = static_cast<uint16_t>(from_network - sizeof(Ipv6Header));
        put_header<Ipv6Header>(header_, layout.network, ip);
    }
}

// What belongs to the end of the data goes into the last segment, and the answer to congestion into
// the first (RFC 3168, 6.1.2).
void FrameFinisher::put_transport_header(const Layout& layout, const NetFrameInfo& info,
                                         size_t offset, size_t size) {
    const bool last = layout.payload + offset + size == copy_size_;
    if (is_tcp(info)) {
        TcpHeader tcp = *header_at<TcpHeader>(copy_, layout.transport);
        tcp.sequence = static_cast<uint32_t>(tcp.sequence + offset);
        if (!last) tcp.flags &= static_cast<uint8_t>(~(TcpHeader::kFin | TcpHeader::kPsh));
        if (offset != 0) tcp.flags &= static_cast<uint8_t>(~TcpHeader::kCwr);
        tcp.checksum = uint16_t{0};
        put_header<TcpHeader>(header_, layout.transport, tcp);
        tcp.checksum = transport_checksum(layout, offset, size);
        put_header<TcpHeader>(header_, layout.transport, tcp);
    } else {
        UdpHeader udp = *header_at<UdpHeader>(copy_, layout.transport);
        udp.length = static_cast<uint16_t>(sizeof(UdpHeader) + size);
        udp.checksum = uint16_t{0};
        put_header<UdpHeader>(header_, layout.transport, udp);
        udp.checksum = transport_checksum(layout, offset, size);
        put_header<UdpHeader>(header_, layout.transport, udp);
    }
}

uint16_t FrameFinisher::transport_checksum(const Layout& layout, size_t offset, size_t size) const {
    const size_t header = layout.payload - layout.transport;
    const auto length = static_cast<uint32_t>(header + size);
    const uint8_t protocol =
        header == sizeof(UdpHeader) ? ip_protocol::kUdp : ip_protocol::kTcp;  // TCP's is longer
    InternetChecksum sum = layout.ipv4 ? pseudo_header_sum(*layout.ipv4, length)
                                       : pseudo_header_sum(*layout.ipv6, protocol, length);
    sum.add(std::span<const std::byte>(header_).subspan(layout.transport, header));
    sum.add(std::span<const std::byte>(copy_).subspan(layout.payload + offset, size));
    return as_sent(sum.value());
}

}  // namespace banyan
