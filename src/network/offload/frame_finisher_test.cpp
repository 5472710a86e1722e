#include "network/offload/frame_finisher.hpp"

#include <gtest/gtest.h>

#include "network/packets/testing/packet_builder.hpp"

namespace banyan {
namespace {

using Segmentation = NetFrameInfo::Segmentation;
constexpr size_t kV4Payload = 14 + 20 + 20;
constexpr size_t kV6Payload = 14 + 40 + 20;

FrameBytes tcp_segment(size_t data) {
    TcpHeader tcp;
    tcp.source = uint16_t{1000};
    tcp.destination = uint16_t{2000};
    tcp.sequence = 0xFFFFFF00;
    tcp.flags = 0x10 | TcpHeader::kFin | TcpHeader::kPsh | TcpHeader::kCwr;
    FrameBytes bytes = bytes_of(tcp);
    const FrameBytes payload = counting_bytes(data);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return bytes;
}

struct Finished {
    bool ok = false;
    std::vector<FrameBytes> frames;
};

Finished finish(const FrameBytes& frame, const NetFrameInfo& info, const NetOffloads& taken = {}) {
    FrameFinisher finisher;
    Finished finished;
    finished.ok = finisher.finish(WholeFrame(frame, info).get(), taken,
                                  [&](const NetFrame& f) { finished.frames.push_back(whole(f)); });
    return finished;
}

NetFrameInfo tcp_info(uint16_t start, Segmentation kind, uint16_t size) {
    return {.needs_checksum = true,
            .checksum_start = start,
            .checksum_offset = 16,
            .segmentation = kind,
            .segment_size = size,
            .header_length = 0};
}

TEST(FrameFinisher, LeavesFinishedFramesAlone) {
    const FrameBytes frame = udp_frame({}, 1, 2, counting_bytes(50));
    const Finished finished = finish(frame, {});
    ASSERT_TRUE(finished.ok);
    ASSERT_EQ(finished.frames.size(), 1U);
    EXPECT_EQ(finished.frames[0], frame);
}

TEST(FrameFinisher, LeavesWhatTheReceiverTakes) {
    const FrameBytes frame = ipv4_frame({.protocol = ip_protocol::kTcp}, tcp_segment(5000));
    const Finished finished =
        finish(frame, tcp_info(34, Segmentation::tcp4, 1000), {.checksum = true, .tcp4 = true});
    ASSERT_EQ(finished.frames.size(), 1U);
    EXPECT_EQ(finished.frames[0], frame);
}

// The field holds the pseudo header's sum, as senders leave it.
TEST(FrameFinisher, FinishesAChecksum) {
    FrameBytes frame = udp_frame({}, 1, 2, counting_bytes(51));
    const auto ip = *header_at<Ipv4Header>(frame, 14);
    const auto length = static_cast<uint32_t>(frame.size() - 34);
    uint32_t pseudo = ip.protocol + length;
    pseudo = plain_sum(std::span(frame).subspan(26, 8), pseudo);
    put_header<be16>(frame, 34 + 6, static_cast<uint16_t>(pseudo));
    const Finished finished =
        finish(frame, {.needs_checksum = true, .checksum_start = 34, .checksum_offset = 6});
    ASSERT_EQ(finished.frames.size(), 1U);
    EXPECT_EQ(transport_sum(finished.frames[0]), 0xFFFF);
}

void expect_segments(const Finished& finished, size_t payload_at, size_t data, size_t each) {
    ASSERT_TRUE(finished.ok);
    ASSERT_EQ(finished.frames.size(), (data + each - 1) / each);
    FrameBytes joined;
    for (size_t i = 0; i < finished.frames.size(); ++i) {
        const FrameBytes& frame = finished.frames[i];
        EXPECT_EQ(transport_sum(frame), 0xFFFF) << i;
        const auto tcp = *header_at<TcpHeader>(frame, payload_at - sizeof(TcpHeader));
        EXPECT_EQ(tcp.sequence, static_cast<uint32_t>(0xFFFFFF00 + joined.size()));
        const bool last = i + 1 == finished.frames.size();
        EXPECT_EQ((tcp.flags & (TcpHeader::kFin | TcpHeader::kPsh)) != 0, last);
        EXPECT_EQ((tcp.flags & TcpHeader::kCwr) != 0, i == 0);
        joined.insert(joined.end(), frame.begin() + static_cast<std::ptrdiff_t>(payload_at),
                      frame.end());
    }
    EXPECT_EQ(joined, counting_bytes(data));
}

TEST(FrameFinisher, SegmentsTcpOverIpv4) {
    const FrameBytes frame = ipv4_frame({.protocol = ip_protocol::kTcp}, tcp_segment(4001));
    const Finished finished = finish(frame, tcp_info(34, Segmentation::tcp4, 1448));
    expect_segments(finished, kV4Payload, 4001, 1448);
    for (size_t i = 0; i < finished.frames.size(); ++i) {
        const auto ip = *header_at<Ipv4Header>(finished.frames[i], 14);
        EXPECT_EQ(ip.total_length, finished.frames[i].size() - 14);
        EXPECT_EQ(ip.identification, 0x1234 + i);
        EXPECT_EQ(plain_sum(std::span(finished.frames[i]).subspan(14, 20)), 0xFFFF);
    }
}

TEST(FrameFinisher, SegmentsTcpOverIpv6) {
    const FrameBytes frame = ipv6_frame(ip_protocol::kTcp, tcp_segment(60000));
    const Finished finished = finish(frame, tcp_info(54, Segmentation::tcp6, 1428));
    expect_segments(finished, kV6Payload, 60000, 1428);
    for (const FrameBytes& segment : finished.frames)
        EXPECT_EQ(header_at<Ipv6Header>(segment, 14)->payload_length, segment.size() - 54);
}

TEST(FrameFinisher, SegmentsUdp) {
    const FrameBytes frame = udp_frame({}, 7, 9, counting_bytes(3000));
    const Finished finished = finish(frame, {.needs_checksum = true,
                                             .checksum_start = 34,
                                             .checksum_offset = 6,
                                             .segmentation = Segmentation::udp,
                                             .segment_size = 1000});
    ASSERT_EQ(finished.frames.size(), 3U);
    for (const FrameBytes& datagram : finished.frames) {
        EXPECT_EQ(header_at<UdpHeader>(datagram, 34)->length, 1008);
        EXPECT_EQ(transport_sum(datagram), 0xFFFF);
    }
}

TEST(FrameFinisher, SegmentsBehindATag) {
    const FrameBytes plain = ipv4_frame({.protocol = ip_protocol::kTcp}, tcp_segment(3000));
    FrameBytes frame(plain.begin(), plain.begin() + 12);
    append_object(frame, VlanTag{ethertype::kVlan, uint16_t{7}});
    frame.insert(frame.end(), plain.begin() + 12, plain.end());
    const Finished finished = finish(frame, tcp_info(38, Segmentation::tcp4, 1448));
    ASSERT_EQ(finished.frames.size(), 3U);
    EXPECT_EQ(header_at<VlanTag>(finished.frames[2], 12)->control, 7);
    EXPECT_EQ(header_at<Ipv4Header>(finished.frames[0], 18)->total_length, 1448 + 40);
}

TEST(FrameFinisher, TakesAFlagOfSegmentsWithoutThemForNone) {
    const FrameBytes frame = counting_bytes(20);
    const Finished finished = finish(frame, {.checksum_start = 60000, .ecn = true});
    ASSERT_EQ(finished.frames.size(), 1U);
    EXPECT_EQ(finished.frames[0], frame);
}

TEST(FrameFinisher, RefusesWhatIsMalformed) {
    const FrameBytes tcp = ipv4_frame({.protocol = ip_protocol::kTcp}, tcp_segment(4000));
    NetFrameInfo info = tcp_info(34, Segmentation::tcp4, 1000);
    EXPECT_TRUE(finish(tcp, info).ok);
    info.segment_size = 0;
    EXPECT_FALSE(finish(tcp, info).ok);
    info.segment_size = 3;
    EXPECT_FALSE(finish(tcp, info).ok) << "more segments than are made of one frame";
    info = tcp_info(36, Segmentation::tcp4, 1000);
    EXPECT_FALSE(finish(tcp, info).ok) << "not where IPv4's header ends";
    info = tcp_info(34, Segmentation::tcp6, 1000);
    EXPECT_FALSE(finish(tcp, info).ok) << "no IPv6";
    FrameBytes cut(tcp.begin(), tcp.begin() + 52);
    EXPECT_FALSE(finish(cut, tcp_info(34, Segmentation::tcp4, 1000)).ok);
    FrameBytes short_header = tcp;
    short_header[34 + 12] = std::byte{0x40};
    EXPECT_FALSE(finish(short_header, tcp_info(34, Segmentation::tcp4, 1000)).ok);
    EXPECT_FALSE(finish(tcp, {.needs_checksum = true, .checksum_start = 65000}).ok);
}

}  // namespace
}  // namespace banyan
