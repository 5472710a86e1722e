// The transmit ring (datasheet 317694, section 7.2).
#include <algorithm>
#include <cstring>

#include "devices/net/e1000e.hpp"
#include "support/be.hpp"

namespace banyan {

using namespace e1000e;

namespace {

constexpr size_t kTagPlace = 12;  // behind both addresses

// A context descriptor (section 7.2.6).
struct Context {
    explicit Context(const TransmitDescriptor& descriptor)
        : low(descriptor.low), command{descriptor.command}, high(descriptor.high) {}

    uint64_t low;
    TransmitCommand command;
    uint32_t high;

    ChecksumPlace ip() const { return place(low & 0xFFFF'FFFF); }
    ChecksumPlace transport() const { return place(low >> 32); }
    size_t header_size() const { return bits(high, 15, 8); }
    size_t segment_size() const { return bits(high, 31, 16); }

private:
    // CSS, CSO and CSE; the last is that of the last byte.
    static ChecksumPlace place(uint64_t value) {
        const size_t end = bits(value, 31, 16);
        return {
            .start = bits(value, 7, 0), .field = bits(value, 15, 8), .end = end == 0 ? 0 : end + 1};
    }
};

bool is_context(TransmitCommand command) {
    return command.get<TransmitCommand::Extended>() &&
           command.get<TransmitCommand::Type>() == kContextType;
}

}  // namespace

void E1000e::on_send_room() {
    transmit();
}

// Ends with the ring's descriptors, a frame that is not complete, or a network without room.
void E1000e::transmit() {
    if ((reg(TCTL) & kTransmitEnable) == 0 || !started_ || !bus_master_enabled()) return;
    const uint32_t before = reg(TDH);
    const uint32_t most = ring(TDBAL, kDescriptorSize).size;
    for (uint32_t i = 0; i < most && transmit_one(); ++i) {
    }
    if (reg(TDH) == before) return;
    const Ring now = ring(TDBAL, kDescriptorSize);
    raise(TRANSMITTED | TRANSMIT_QUEUE_0 |
          (now.available() == 0 ? uint32_t{TRANSMIT_QUEUE_EMPTY} : 0));
}

// A frame, with the context in front of it. False: there is none, or it has to wait.
bool E1000e::transmit_one() {
    const Ring from = ring(TDBAL, kDescriptorSize);
    const Outgoing frame = gather(from);
    if (!frame.complete) return false;
    if (frame.wrong) ++statistics_.sent_malformed;
    if (!frame.wrong && !send(frame)) return false;
    segments_sent_ = 0;
    complete(from, frame.end);
    return true;
}

E1000e::Outgoing E1000e::gather(const Ring& from) {
    Outgoing frame;
    outgoing_size_ = 0;
    bool begun = false;
    uint32_t used = 0;
    for (uint32_t index = from.head; index != from.tail; index = from.next(index)) {
        // One that has no end is given back, so that it is not looked at again and again.
        if (++used > kMostTransmitDescriptors) {
            frame.end = index;
            frame.complete = frame.wrong = true;
            return frame;
        }
        TransmitDescriptor descriptor;
        if (!memory_.read_object(from.base + index * kDescriptorSize, descriptor)) return frame;
        if (is_context({descriptor.command})) {
            context_ = descriptor;
            continue;
        }
        if (!begun) begin_frame(frame, descriptor);
        begun = true;
        append(frame, descriptor);
        if (TransmitCommand{descriptor.command}.get<TransmitCommand::EndOfPacket>()) {
            frame.end = from.next(index);
            frame.complete = true;
            return frame;
        }
    }
    return frame;
}

// The first descriptor says what is done with the frame.
void E1000e::begin_frame(Outgoing& frame, const TransmitDescriptor& descriptor) {
    const TransmitCommand command{descriptor.command};
    const uint32_t high = descriptor.high;
    if (command.get<TransmitCommand::Extended>()) {
        frame.segmented = command.get<TransmitCommand::SegmentIt>();
        frame.options = static_cast<uint8_t>(bits(high, 15, 8));
    }
}

void E1000e::append(Outgoing& frame, const TransmitDescriptor& descriptor) {
    const TransmitCommand command{descriptor.command};
    const uint32_t high = descriptor.high;
    const bool extended = command.get<TransmitCommand::Extended>();
    const size_t length = extended ? command.get<TransmitCommand::Length>()
                                   : command.get<TransmitCommand::LegacyLength>();
    // Section 7.2.10.1 "Legacy": IC, CSS and CSO are those of the last descriptor.
    if (!extended && command.get<TransmitCommand::SegmentIt>()) {
        frame.legacy_checksum = {.start = bits(high, 15, 8),
                                 .field = command.get<TransmitCommand::LegacyChecksumOffset>()};
    }
    if (command.get<TransmitCommand::Vlan>()) {
        frame.has_tag = (reg(CTRL) & Ctrl::kVlanMode) != 0;
        frame.tag = static_cast<uint16_t>(high >> 16);
    }
    if (frame.wrong || outgoing_size_ + length > kLargestNetFrame - kVlanTagSize) {
        frame.wrong = true;
        return;
    }
    const auto to = std::span(outgoing_).subspan(outgoing_size_, length);
    if (length != 0 && !memory_.read(Gpa{descriptor.low}, to)) frame.wrong = true;
    outgoing_size_ += length;
}

// False: the network has no room.
bool E1000e::send(const Outgoing& frame) {
    if (frame.segmented) return send_segments(frame);
    finish_checksums(frame);
    if (frame.has_tag) insert_tag(frame.tag);
    const size_t size = std::max(outgoing_size_, kShortestFrame);
    std::memset(outgoing_.data() + outgoing_size_, 0, size - outgoing_size_);
    return send_bytes(std::span(outgoing_).first(size));
}

// Offsets that lie outside leave the frame as it is.
void E1000e::finish_checksums(const Outgoing& frame) {
    const auto bytes = std::span(outgoing_).first(outgoing_size_);
    const Context context(context_);
    if (frame.legacy_checksum.field != 0) (void)put_checksum(bytes, frame.legacy_checksum);
    if ((frame.options & kInsertIpChecksum) != 0) (void)put_checksum(bytes, context.ip());
    if ((frame.options & kInsertTransportChecksum) != 0)
        (void)put_checksum(bytes, context.transport());
}

void E1000e::insert_tag(uint16_t tag) {
    if (outgoing_size_ < kTagPlace) return;
    std::byte* const place = outgoing_.data() + kTagPlace;
    std::memmove(place + kVlanTagSize, place, outgoing_size_ - kTagPlace);
    const be16 type{static_cast<uint16_t>(reg(VET))};
    const be16 value{tag};
    std::memcpy(place, &type, sizeof(type));
    std::memcpy(place + sizeof(type), &value, sizeof(value));
    outgoing_size_ += kVlanTagSize;
}

// Section 7.3 "TCP segmentation".
SegmentationPlan E1000e::segmentation_plan(const Outgoing& frame) const {
    const Context context(context_);
    SegmentationPlan plan{.header_size = context.header_size(),
                          .segment_size = context.segment_size(),
                          .ip_start = context.ip().start,
                          .transport_start = context.transport().start,
                          .ipv4 = context.command.get<TransmitCommand::ContextIpv4>(),
                          .tcp = context.command.get<TransmitCommand::ContextTcp>(),
                          .checksum_ip = (frame.options & kInsertIpChecksum) != 0,
                          .checksum_transport = (frame.options & kInsertTransportChecksum) != 0,
                          .ip = context.ip(),
                          .transport = context.transport()};
    plan.transport.end = 0;
    return plan;
}

// Goes on with the segment that found no room the last time.
bool E1000e::send_segments(const Outgoing& frame) {
    SegmentationPlan plan = segmentation_plan(frame);
    if (frame.has_tag) {
        insert_tag(frame.tag);
        plan.move_by(kVlanTagSize);
    }
    const auto bytes = std::span(outgoing_).first(outgoing_size_);
    const Segmenter segmenter(bytes, plan);
    if (!segmenter.valid()) {
        ++statistics_.sent_malformed;
        return true;
    }
    while (segments_sent_ < segmenter.count()) {
        const size_t size = segmenter.make(segments_sent_, segment_);
        if (!send_bytes(std::span(segment_).first(size))) return false;
        ++segments_sent_;
    }
    count(TSCTC);
    return true;
}

bool E1000e::send_bytes(std::span<const std::byte> bytes) {
    const NetFrame frame{.parts = {&bytes, 1}, .size = bytes.size(), .info = {}};
    if (network_.send({&frame, 1}) == 0) return false;
    count_transmitted(bytes);
    return true;
}

// The descriptors are given back, and those that ask for it (RS) say so.
void E1000e::complete(const Ring& from, uint32_t end) {
    for (uint32_t index = from.head; index != end; index = from.next(index)) {
        const Gpa place = from.base + index * kDescriptorSize;
        TransmitDescriptor descriptor;
        if (!memory_.read_object(place, descriptor)) continue;
        if (!TransmitCommand{descriptor.command}.get<TransmitCommand::Report>()) continue;
        descriptor.high = descriptor.high | uint32_t{kTransmitDone};
        (void)memory_.write_object(place, descriptor);
    }
    reg(TDH) = end;
}

void E1000e::count_transmitted(std::span<const std::byte> frame) {
    const size_t size = frame.size() + kCrcSize;
    ++statistics_.sent_frames;
    statistics_.sent_bytes += frame.size();
    count(GPTC);
    count(TPT);
    count_octets(GOTCL, size);
    count_octets(TOTL, size);
    count(PTC64 + 4 * size_class(size));
    if (destination_of(frame) == kBroadcastMac)
        count(BPTC);
    else if (destination_of(frame).is_multicast())
        count(MPTC);
}

}  // namespace banyan
