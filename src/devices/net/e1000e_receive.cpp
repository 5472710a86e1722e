// The receive ring (datasheet 317694, section 7.1).
#include <algorithm>
#include <cstring>

#include "devices/net/e1000e.hpp"
#include "support/be.hpp"

namespace banyan {

using namespace e1000e;

namespace {

constexpr size_t kAddressesSize = 12;
// With check sequence: without LPE, and with it (section 10.2.5.1).
constexpr size_t kLongestFrame = 1522;
constexpr size_t kLongestLongFrame = 16384;

uint16_t word_at(std::span<const std::byte> frame, size_t at) {
    be16 value;
    std::memcpy(&value, frame.data() + at, sizeof(value));
    return value;
}

}  // namespace

size_t E1000e::on_frames(std::span<const NetFrame> frames) {
    size_t taken = 0;
    bool any = false;
    for (; taken < frames.size(); ++taken) {
        const Reception what = receive(frames[taken]);
        if (what == Reception::waits) break;
        any |= what == Reception::delivered;
    }
    if (any) raise_received();
    return taken;
}

void E1000e::raise_received() {
    const Ring ring = this->ring(RDBAL, receive_descriptor_size());
    const unsigned threshold = ReceiveControl{reg(RCTL)}.get<ReceiveControl::Threshold>();
    const bool few = ring.available() <= ring.size >> (threshold + 1);
    raise(RECEIVED | RECEIVE_QUEUE_0 | (few ? uint32_t{FEW_RECEIVE_DESCRIPTORS} : 0));
}

// Frames that nobody waits for are gone, as on a wire.
E1000e::Reception E1000e::receive(const NetFrame& frame) {
    if (!ReceiveControl{reg(RCTL)}.get<ReceiveControl::Enable>() || !bus_master_enabled())
        return dropped(statistics_.received_while_down);
    size_t size = copy_frame(frame, incoming_);
    if (size < kEthernetHeaderSize || size > kLargestNetFrame)
        return dropped(statistics_.received_unusable);
    const auto bytes = std::span(incoming_).first(size);
    const bool tagged = is_tagged(bytes);
    const uint16_t tag = tagged ? word_at(bytes, kAddressesSize + 2) : uint16_t{0};
    if (!wanted(bytes, tag, tagged)) return dropped(statistics_.received_for_others);
    uint8_t status = frame.info.checksum_valid ? RX_TCP_CHECKED | RX_UDP_CHECKED | RX_IP_CHECKED
                                               : RX_IGNORE_CHECKSUM;
    const bool strip = tagged && (reg(CTRL) & Ctrl::kVlanMode) != 0;
    if (strip) {
        size = strip_tag(size);
        status |= RX_VLAN;
    }
    size = finish(size);
    if (!takes_size(size)) return dropped(statistics_.received_too_large);
    return deliver(std::span(incoming_).first(size), status, strip ? tag : uint16_t{0});
}

E1000e::Reception E1000e::dropped(Counter& why) {
    ++why;
    return Reception::dropped;
}

bool E1000e::is_tagged(std::span<const std::byte> frame) const {
    const uint32_t type = reg(VET) & 0xFFFF;
    return type != 0 && frame.size() >= kEthernetHeaderSize + kVlanTagSize &&
           word_at(frame, kAddressesSize) == type;
}

size_t E1000e::strip_tag(size_t size) {
    std::byte* const tag = incoming_.data() + kAddressesSize;
    std::memmove(tag, tag + kVlanTagSize, size - kAddressesSize - kVlanTagSize);
    return size - kVlanTagSize;
}

// As on the wire: padded, and with a check sequence if the driver wants to see it.
size_t E1000e::finish(size_t size) {
    if (size < kShortestFrame) {
        std::memset(incoming_.data() + size, 0, kShortestFrame - size);
        size = kShortestFrame;
    }
    if (ReceiveControl{reg(RCTL)}.get<ReceiveControl::StripCrc>()) return size;
    const le32 crc{ethernet_crc(std::span(incoming_).first(size))};
    std::memcpy(incoming_.data() + size, &crc, sizeof(crc));
    return size + kCrcSize;
}

bool E1000e::takes_size(size_t size) {
    const ReceiveControl control{reg(RCTL)};
    const size_t with_crc = size + (control.get<ReceiveControl::StripCrc>() ? kCrcSize : 0);
    const size_t most =
        control.get<ReceiveControl::LongPackets>() ? kLongestLongFrame : kLongestFrame;
    if (with_crc <= most) return true;
    count(ROC);
    return false;
}

// Section 7.1.1 "Packet address filtering", 7.1.1.6 "VLAN".
bool E1000e::wanted(std::span<const std::byte> frame, uint16_t tag, bool tagged) const {
    const ReceiveControl control{reg(RCTL)};
    if (tagged && control.get<ReceiveControl::VlanFilter>()) {
        const uint32_t id = tag & 0xFFF;
        if ((reg(VFTA + id / 32 * 4) >> id % 32 & 1) == 0) return false;
    }
    if (destination_of(frame) == kBroadcastMac) {
        return control.get<ReceiveControl::Broadcast>() || address_matches(frame) ||
               control.get<ReceiveControl::MulticastPromiscuous>();
    }
    if (destination_of(frame).is_multicast()) {
        return control.get<ReceiveControl::MulticastPromiscuous>() || address_matches(frame) ||
               multicast_hash_matches(frame);
    }
    return control.get<ReceiveControl::UnicastPromiscuous>() || address_matches(frame);
}

bool E1000e::address_matches(std::span<const std::byte> frame) const {
    uint32_t low = 0;
    uint16_t high = 0;
    std::memcpy(&low, frame.data(), sizeof(low));
    std::memcpy(&high, frame.data() + sizeof(low), sizeof(high));
    for (uint32_t i = 0; i < kReceiveAddresses; ++i) {
        const uint32_t valid_high = reg(RAH + 8 * i);
        if ((valid_high & kAddressValid) != 0 && reg(RAL + 8 * i) == low &&
            (valid_high & 0xFFFF) == high)
            return true;
    }
    return false;
}

// Twelve bits of the address's end, of which MO says where they begin.
bool E1000e::multicast_hash_matches(std::span<const std::byte> frame) const {
    constexpr std::array<unsigned, 4> kShift{4, 3, 2, 0};
    const unsigned end = static_cast<unsigned>(frame[4]) | static_cast<unsigned>(frame[5]) << 8;
    const unsigned offset = ReceiveControl{reg(RCTL)}.get<ReceiveControl::MulticastOffset>();
    const unsigned hash = end >> kShift[offset] & 0xFFF;
    return (reg(MTA + hash / 32 * 4) >> hash % 32 & 1) != 0;
}

bool E1000e::splits() const {
    return (reg(RFCTL) & kExtendedDescriptors) != 0 &&
           ReceiveControl{reg(RCTL)}.get<ReceiveControl::DescriptorType>() == kPacketSplit;
}

uint64_t E1000e::receive_descriptor_size() const {
    return splits() ? kSplitDescriptorSize : kDescriptorSize;
}

uint32_t E1000e::receive_buffer_size() const {
    const ReceiveControl control{reg(RCTL)};
    const uint32_t flexible = control.get<ReceiveControl::FlexBuffer>();
    if (flexible != 0) return flexible << 10;
    const uint32_t size = 2048U >> control.get<ReceiveControl::BufferSize>();
    return control.get<ReceiveControl::SizeExtension>() ? size * 16 : size;
}

// Nothing: the descriptor is not in memory. Sizes of split buffers: section 10.2.5.3.
E1000e::Buffers E1000e::buffers_of(Gpa descriptor) const {
    Buffers buffers;
    if (!splits()) {
        le64 address;
        if (!memory_.read_object(descriptor, address)) return buffers;
        buffers.address[0] = Gpa{address};
        buffers.size[0] = receive_buffer_size();
        buffers.count = 1;
        return buffers;
    }
    std::array<le64, 4> addresses;
    if (!memory_.read_object(descriptor, addresses)) return buffers;
    const uint32_t sizes = reg(PSRCTL);
    buffers.size = {bits(sizes, 6, 0) << 7, bits(sizes, 13, 8) << 10, bits(sizes, 21, 16) << 10,
                    bits(sizes, 29, 24) << 10};
    for (size_t i = 0; i < addresses.size(); ++i)
        buffers.address[i] = Gpa{addresses[i]};
    buffers.count = 4;
    return buffers;
}

// Returns how much found room.
size_t E1000e::fill(const Buffers& buffers, std::span<const std::byte> bytes, Lengths& lengths) {
    size_t done = 0;
    for (unsigned i = 0; i < buffers.count; ++i) {
        const size_t size = std::min<size_t>(buffers.size[i], bytes.size() - done);
        // What is no memory swallows its part.
        if (size != 0) (void)memory_.write(buffers.address[i], bytes.subspan(done, size));
        lengths[i] = static_cast<uint16_t>(size);
        done += size;
    }
    return done;
}

// The frame fills as many descriptors as it takes, or none.
E1000e::Reception E1000e::deliver(std::span<const std::byte> frame, uint8_t status, uint16_t tag) {
    const uint64_t descriptor_size = receive_descriptor_size();
    Ring ring = this->ring(RDBAL, descriptor_size);
    size_t done = 0;
    uint32_t used = 0;
    std::array<Lengths, kMostDescriptors> lengths{};
    for (uint32_t index = ring.head; done < frame.size(); index = ring.next(index)) {
        if (used == ring.available() || used == kMostDescriptors) {
            count(RNBC);
            return used == kMostDescriptors ? dropped(statistics_.received_too_large)
                                            : Reception::waits;
        }
        const Gpa place = ring.base + index * descriptor_size;
        done += fill(buffers_of(place), frame.subspan(done), lengths[used]);
        ++used;
    }
    for (uint32_t i = 0; i < used; ++i) {
        const bool last = i + 1 == used;
        write_back(ring.base + ring.head * descriptor_size, lengths[i],
                   static_cast<uint8_t>(status | RX_DONE | (last ? RX_END_OF_PACKET : 0)), tag);
        ring.head = ring.next(ring.head);
    }
    reg(RDH) = ring.head;
    count_received(frame);
    return Reception::delivered;
}

void E1000e::write_back(Gpa descriptor, const Lengths& lengths, uint8_t status, uint16_t tag) {
    if ((reg(RFCTL) & kExtendedDescriptors) == 0) {
        LegacyReceive written;
        if (!memory_.read_object(descriptor, written)) return;
        written.length = lengths[0];
        written.checksum = uint16_t{0};
        written.status = status;
        written.errors = 0;
        written.vlan = tag;
        (void)memory_.write_object(descriptor, written);
        return;
    }
    if (splits()) {
        SplitReceive written;
        for (size_t i = 0; i < 3; ++i)
            written.lengths[i] = lengths[i + 1];
        (void)memory_.write_object(descriptor + kDescriptorSize, written);
    }
    ExtendedReceive written;
    written.status = uint32_t{status};
    written.length = lengths[0];
    written.vlan = tag;
    (void)memory_.write_object(descriptor, written);
}

void E1000e::count_received(std::span<const std::byte> frame) {
    const bool stripped = ReceiveControl{reg(RCTL)}.get<ReceiveControl::StripCrc>();
    const size_t size = frame.size() + (stripped ? kCrcSize : 0);
    ++statistics_.received_frames;
    statistics_.received_bytes += frame.size();
    count(GPRC);
    count(TPR);
    count_octets(GORCL, size);
    count_octets(TORL, size);
    count(PRC64 + 4 * size_class(size));
    if (destination_of(frame) == kBroadcastMac)
        count(BPRC);
    else if (destination_of(frame).is_multicast())
        count(MPRC);
}

}  // namespace banyan
