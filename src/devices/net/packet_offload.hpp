// What network hardware does to frames that it sends: checksums put in, TCP and UDP segmented,
// VLAN tags. Offsets come from a guest: where one lies outside of the frame, nothing is done, and
// false says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "network/packets/addresses.hpp"

namespace banyan {

// The checksum of [start, end) goes to `field`; what the field holds is part of the sum (zero, or
// the sum of a pseudo header).
struct ChecksumPlace {
    size_t start = 0;
    size_t field = 0;
    size_t end = 0;  // 0: the frame's
};
bool put_checksum(std::span<std::byte> frame, const ChecksumPlace& place);

// How a large frame becomes several: each has the first `header_size` bytes, adjusted, and the next
// `segment_size` bytes of what follows.
struct SegmentationPlan {
    size_t header_size = 0;
    size_t segment_size = 0;
    size_t ip_start = 0;
    size_t transport_start = 0;
    bool ipv4 = false;  // else IPv6
    bool tcp = false;   // else UDP
    bool checksum_ip = false;
    bool checksum_transport = false;
    ChecksumPlace ip;         // `end` is that of the header
    ChecksumPlace transport;  // the field holds the pseudo header's sum without the length

    // Something of `size` bytes was put in front of the IP header.
    void move_by(size_t size);
};

class Segmenter {
public:
    // Both outlive this. Not valid: the plan does not fit the frame.
    Segmenter(std::span<const std::byte> frame, const SegmentationPlan& plan);

    bool valid() const { return valid_; }
    size_t count() const { return count_; }
    // The segment's size; `to` has room for header_size + segment_size bytes.
    size_t make(size_t index, std::span<std::byte> to) const;

private:
    void adjust_ip(std::span<std::byte> segment, size_t index) const;
    void adjust_transport(std::span<std::byte> segment, size_t index) const;

    std::span<const std::byte> frame_;
    const SegmentationPlan& plan_;
    bool valid_ = false;
    size_t count_ = 0;
};

// Of an Ethernet frame; zeroes for what is missing.
MacAddress destination_of(std::span<const std::byte> frame);

// Which of the classes that network cards count a frame is in, by its size with check sequence: up
// to 64, 127, 255, 511, 1023 bytes, and more.
unsigned size_class(size_t size);

// The check sequence at an Ethernet frame's end (IEEE 802.3, 3.2.9).
uint32_t ethernet_crc(std::span<const std::byte> frame);

}  // namespace banyan
