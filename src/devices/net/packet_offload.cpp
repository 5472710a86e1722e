#include "devices/net/packet_offload.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "network/packets/internet_checksum.hpp"
#include "support/be.hpp"

namespace banyan {

namespace {

constexpr size_t kIpv6HeaderSize = 40;
constexpr uint8_t kTcpFin = 0x01;
constexpr uint8_t kTcpPush = 0x08;
constexpr uint8_t kTcpCwr = 0x80;

template <class T>
T load(std::span<const std::byte> bytes, size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    return value;
}

template <class T>
void store(std::span<std::byte> bytes, size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof(T));
}

uint16_t fold(uint64_t sum) {
    while (sum >> 16 != 0)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<uint16_t>(sum);
}

constexpr std::array<uint32_t, 256> make_crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
        uint32_t value = i;
        for (unsigned bit = 0; bit < 8; ++bit)
            value = (value & 1) != 0 ? value >> 1 ^ 0xEDB8'8320 : value >> 1;
        table[i] = value;
    }
    return table;
}

}  // namespace

bool put_checksum(std::span<std::byte> frame, const ChecksumPlace& place) {
    const size_t end = place.end == 0 ? frame.size() : place.end;
    if (place.start >= end || end > frame.size() || place.field + 2 > frame.size()) return false;
    const auto summed = frame.subspan(place.start, end - place.start);
    store(frame, place.field, be16{InternetChecksum().add(summed).value()});
    return true;
}

Segmenter::Segmenter(std::span<const std::byte> frame, const SegmentationPlan& plan)
    : frame_(frame), plan_(plan) {
    const size_t ip_needs = plan.ipv4 ? 20 : kIpv6HeaderSize;
    const size_t transport_needs = plan.tcp ? 20 : 8;
    valid_ = plan.segment_size != 0 && plan.header_size < frame.size() &&
             plan.ip_start + ip_needs <= plan.header_size &&
             plan.transport_start + transport_needs <= plan.header_size &&
             plan.ip.field + 2 <= plan.header_size && plan.ip.end <= plan.header_size &&
             plan.transport.field + 2 <= plan.header_size;
    if (valid_) {
        const size_t payload = frame.size() - plan.header_size;
        count_ = (payload + plan.segment_size - 1) / plan.segment_size;
    }
}

size_t Segmenter::make(size_t index, std::span<std::byte> to) const {
    const size_t from = plan_.header_size + index * plan_.segment_size;
    const size_t size = std::min(plan_.segment_size, frame_.size() - from);
    std::memcpy(to.data(), frame_.data(), plan_.header_size);
    std::memcpy(to.data() + plan_.header_size, frame_.data() + from, size);
    const auto segment = to.first(plan_.header_size + size);
    adjust_ip(segment, index);
    adjust_transport(segment, index);
    return segment.size();
}

void Segmenter::adjust_ip(std::span<std::byte> segment, size_t index) const {
    const size_t ip = plan_.ip_start;
    const size_t length = segment.size() - ip;
    if (!plan_.ipv4) {
        store(segment, ip + 4, be16{static_cast<uint16_t>(length - kIpv6HeaderSize)});
        return;
    }
    store(segment, ip + 2, be16{static_cast<uint16_t>(length)});
    const uint16_t id = load<be16>(segment, ip + 4);
    store(segment, ip + 4, be16{static_cast<uint16_t>(id + index)});
    if (plan_.checksum_ip) (void)put_checksum(segment, plan_.ip);
}

void Segmenter::adjust_transport(std::span<std::byte> segment, size_t index) const {
    const size_t at = plan_.transport_start;
    const size_t length = segment.size() - at;
    if (plan_.tcp) {
        const uint32_t sequence = load<be32>(segment, at + 4);
        const size_t skipped = index * plan_.segment_size;
        store(segment, at + 4, be32{static_cast<uint32_t>(sequence + skipped)});
        auto flags = load<uint8_t>(segment, at + 13);
        if (index + 1 != count_) flags &= static_cast<uint8_t>(~(kTcpFin | kTcpPush));
        if (index != 0) flags &= static_cast<uint8_t>(~kTcpCwr);
        store(segment, at + 13, flags);
    } else {
        store(segment, at + 4, be16{static_cast<uint16_t>(length)});
    }
    if (!plan_.checksum_transport) return;
    const uint16_t seed = load<be16>(segment, plan_.transport.field);
    store(segment, plan_.transport.field, be16{fold(uint64_t{seed} + length)});
    (void)put_checksum(segment, plan_.transport);
}

void SegmentationPlan::move_by(size_t size) {
    header_size += size;
    ip_start += size;
    transport_start += size;
    for (ChecksumPlace* place : {&ip, &transport}) {
        place->start += size;
        place->field += size;
        if (place->end != 0) place->end += size;
    }
}

MacAddress destination_of(std::span<const std::byte> frame) {
    MacAddress address;
    std::memcpy(address.bytes.data(), frame.data(), std::min(frame.size(), address.bytes.size()));
    return address;
}

unsigned size_class(size_t size) {
    constexpr std::array<size_t, 5> kLast{64, 127, 255, 511, 1023};
    return static_cast<unsigned>(std::ranges::lower_bound(kLast, size) - kLast.begin());
}

uint32_t ethernet_crc(std::span<const std::byte> frame) {
    static constexpr auto kTable = make_crc_table();
    uint32_t crc = ~uint32_t{0};
    for (const std::byte byte : frame)
        crc = crc >> 8 ^ kTable[(crc ^ static_cast<uint32_t>(byte)) & 0xFF];
    return ~crc;
}

}  // namespace banyan
