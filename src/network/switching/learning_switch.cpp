#include "network/switching/learning_switch.hpp"

#include <algorithm>

#include "network/packets/frame_bytes.hpp"
#include "network/packets/headers.hpp"
#include "network/switching/ipv6_guard.hpp"
#include "network/switching/source_guard.hpp"
#include "support/assert.hpp"

namespace banyan {

namespace {

constexpr size_t kAddresses = 12;  // destination and source, before tag or type
// What is looked at: Ethernet, a tag, IPv4 with options, ports.
constexpr size_t kHead = 128;
constexpr uint64_t kBurstBytes = 256 * 1024;  // more than the largest frame
constexpr uint64_t kBurstFlooded = 1000;

// 802.1Q, 8.6.3 and table 8-1: addresses that never leave a link.
bool is_reserved(const MacAddress& mac) {
    constexpr std::array<uint8_t, 5> kPrefix{0x01, 0x80, 0xC2, 0x00, 0x00};
    return std::equal(kPrefix.begin(), kPrefix.end(), mac.bytes.begin()) && mac.bytes[5] < 0x10;
}

void move_info(NetFrameInfo& info, int by) {
    info.checksum_start = static_cast<uint16_t>(info.checksum_start + by);
    info.header_length = static_cast<uint16_t>(info.header_length + by);
}

}  // namespace

struct LearningSwitch::Port {
    Port(SwitchPortId number, const SwitchPortConfig& wanted, SwitchSink& to)
        : id(number),
          config(wanted),
          sink(to),
          bytes(wanted.bytes_per_second, std::max(kBurstBytes, wanted.bytes_per_second / 10)),
          flooded(wanted.flooded_per_second, kBurstFlooded),
          shares(kMostPorts) {
        for (const VlanId vlan : wanted.tagged_vlans)
            tagged.set(vlan);
    }
    bool is_in(VlanId vlan) const { return vlan == config.vlan || tagged[vlan]; }

    const SwitchPortId id;
    SwitchPortConfig config;
    SwitchSink& sink;
    std::bitset<kLastVlan + 2> tagged;
    TokenBucket bytes;
    TokenBucket flooded;
    FairShare shares;  // of those who send to it
    SwitchPortCounters counters;
};

// A frame as it came: its head copied, without a tag.
struct LearningSwitch::Ingress {
    std::array<std::byte, kHead> head;
    size_t head_size = 0;   // without the tag
    size_t head_taken = 0;  // of the frame's parts
    NetFrame frame;         // as it came
    size_t size = 0;        // without the tag
    NetFrameInfo info;      // of the frame without the tag
    EthernetHeader ethernet;
    uint16_t control = 0;  // of its tag
    VlanId vlan = 0;

    std::span<const std::byte> looked_at() const { return std::span(head).first(head_size); }
};

// The frame as it goes out, with and without a tag; each form is made when it is first wanted.
class LearningSwitch::Egress {
public:
    Egress(const Ingress& in, std::vector<std::byte>& joined) : in_(in), joined_(joined) {}

    const NetFrame& plain() {
        if (plain_.size == 0) {
            plain_parts_[0] = in_.looked_at();
            plain_ = {std::span(plain_parts_).first(1 + add_rest(plain_parts_, 1)), in_.size,
                      in_.info};
        }
        return plain_;
    }

    const NetFrame& tagged() {
        if (tagged_.size == 0) {
            tag_ = {ethertype::kVlan, static_cast<uint16_t>((in_.control & 0xF000) | in_.vlan)};
            tagged_parts_[0] = in_.looked_at().first(kAddresses);
            tagged_parts_[1] = std::as_bytes(std::span(&tag_, 1));
            tagged_parts_[2] = in_.looked_at().subspan(kAddresses);
            NetFrameInfo info = in_.info;
            if (info.needs_checksum) move_info(info, sizeof(VlanTag));
            tagged_ = {std::span(tagged_parts_).first(3 + add_rest(tagged_parts_, 3)),
                       in_.size + sizeof(VlanTag), info};
        }
        return tagged_;
    }

private:
    static constexpr size_t kMostParts = 8;
    using Parts = std::array<std::span<const std::byte>, kMostParts>;

    // What is behind the head, in as many parts as it lies in or, if those are too many, in one.
    size_t add_rest(Parts& parts, size_t at) {
        size_t skip = in_.head_taken;
        size_t added = 0;
        for (const std::span<const std::byte> part : in_.frame.parts) {
            const size_t skipped = std::min(skip, part.size());
            skip -= skipped;
            if (skipped == part.size()) continue;
            if (at + added == parts.size()) {
                parts[at] = join();
                return 1;
            }
            parts[at + added++] = part.subspan(skipped);
        }
        return added;
    }

    std::span<const std::byte> join() {
        const size_t size = copy_frame(in_.frame, joined_);
        return std::span<const std::byte>(joined_).first(size).subspan(in_.head_taken);
    }

    const Ingress& in_;
    std::vector<std::byte>& joined_;
    VlanTag tag_;
    Parts plain_parts_;
    Parts tagged_parts_;
    NetFrame plain_;
    NetFrame tagged_;
};

std::string_view to_text(SwitchDrop reason) {
    constexpr std::array<std::string_view, kSwitchDrops> kTexts{
        "malformed",   "reserved", "spoofed-mac", "spoofed-ipv4", "spoofed-ipv6",
        "dhcp-server", "router",   "vlan",        "rate",         "storm",
        "isolated",    "share",    "no-room"};
    return kTexts[static_cast<size_t>(reason)];
}

LearningSwitch::LearningSwitch(bool guard_dhcp)
    : guard_dhcp_(guard_dhcp),
      table_(kMostPorts),
      ipv6_owners_(kMostPorts),
      ports_(kMostPorts),
      joined_(kLargestNetFrame) {}

LearningSwitch::~LearningSwitch() = default;

Result<SwitchPortId> LearningSwitch::add_port(const SwitchPortConfig& config, SwitchSink& sink) {
    if (config.mac && owner_of(*config.mac)) {
        return fail(ErrorCode::busy, "join the network: another member has the address " +
                                         to_text(*config.mac) + "; give another MAC");
    }
    const auto free = std::find(ports_.begin(), ports_.end(), nullptr);
    if (free == ports_.end())
        return fail(ErrorCode::busy, "join the network: all its ports are taken; use another");
    const auto id = static_cast<SwitchPortId>(free - ports_.begin());
    *free = std::make_unique<Port>(id, config, sink);
    if (config.mac) owners_.emplace(*config.mac, id);
    return id;
}

void LearningSwitch::remove_port(SwitchPortId port) {
    table_.forget_port(port);
    ipv6_owners_.forget_port(port);
    if (ports_[port]->config.mac) owners_.erase(*ports_[port]->config.mac);
    ports_[port].reset();
}

void LearningSwitch::set_ipv4(SwitchPortId port, std::optional<Ipv4Address> address) {
    ports_[port]->config.ipv4 = address;
}

const SwitchPortConfig& LearningSwitch::config(SwitchPortId port) const {
    return ports_[port]->config;
}

const SwitchPortCounters& LearningSwitch::counters(SwitchPortId port) const {
    return ports_[port]->counters;
}

std::optional<SwitchPortId> LearningSwitch::owner_of(const MacAddress& mac) const {
    const auto owner = owners_.find(mac);
    if (owner == owners_.end()) return {};
    return owner->second;
}

void LearningSwitch::forward(SwitchPortId from, const NetFrame& frame, uint64_t now_ns) {
    Port& source = *ports_[from];
    source.counters.received_frames += 1;
    source.counters.received_bytes += frame.size;
    Ingress in;
    in.frame = frame;
    if (const auto reason = admit(source, in, now_ns)) {
        ++source.counters.dropped(*reason);
        return;
    }
    if (observer_ != nullptr) observer_->on_frame_from(from, frame);
    learn(source, in, now_ns);
    Egress out(in, joined_);
    const MacAddress& to = in.ethernet.destination;
    const auto known = to.is_multicast() ? std::nullopt : table_.find(to, in.vlan);
    if (known) {
        send_to_one(source, *ports_[*known], in, out, now_ns);
    } else {
        flood(source, in, out, now_ns);
    }
}

std::optional<SwitchDrop> LearningSwitch::admit(Port& source, Ingress& in, uint64_t now_ns) {
    if (in.frame.size > kLargestNetFrame || !is_consistent(in.frame.info, in.frame.size))
        return SwitchDrop::malformed;
    in.head_size = in.head_taken = copy_frame(in.frame, in.head);
    const auto ethernet = header_at<EthernetHeader>(in.looked_at(), 0);
    if (!ethernet || in.head_taken != std::min(in.frame.size, kHead) ||
        ethernet->source.is_multicast())
        return SwitchDrop::malformed;
    in.ethernet = *ethernet;
    in.size = in.frame.size;
    in.info = in.frame.info;
    if (const auto reason = find_vlan(source, in)) return reason;
    // A trunk adds a tag.
    if (in.size > kLargestNetFrame - sizeof(VlanTag)) return SwitchDrop::malformed;
    if (const auto reason = check_source(source, in)) return reason;
    if (is_reserved(in.ethernet.destination)) return SwitchDrop::reserved;
    if (!source.bytes.take(in.frame.size, now_ns)) return SwitchDrop::rate;
    return {};
}

// 802.1Q, 6.9.1: a tag of VLAN 0 only gives a priority.
std::optional<SwitchDrop> LearningSwitch::find_vlan(const Port& source, Ingress& in) const {
    in.vlan = source.config.vlan;
    if (in.ethernet.type == ethertype::kVlan) {
        const auto tag = header_at<VlanTag>(in.looked_at(), kAddresses);
        if (!tag || in.head_size < sizeof(EthernetHeader) + sizeof(VlanTag))
            return SwitchDrop::malformed;
        in.control = tag->control;
        const auto vlan = static_cast<VlanId>(in.control & 0xFFF);
        if (vlan != 0) {
            if (!source.tagged[vlan]) return SwitchDrop::vlan;
            in.vlan = vlan;
        }
        std::copy(in.head.begin() + kAddresses + sizeof(VlanTag),
                  in.head.begin() + static_cast<std::ptrdiff_t>(in.head_size),
                  in.head.begin() + kAddresses);
        in.head_size -= sizeof(VlanTag);
        in.size -= sizeof(VlanTag);
        if (in.info.needs_checksum) {
            if (in.info.checksum_start < sizeof(EthernetHeader) + sizeof(VlanTag))
                return SwitchDrop::malformed;
            move_info(in.info, -static_cast<int>(sizeof(VlanTag)));
        }
    }
    if (in.vlan == 0) return SwitchDrop::vlan;
    return {};
}

std::optional<SwitchDrop> LearningSwitch::check_source(const Port& source, const Ingress& in) {
    if (source.config.mac) {
        if (in.ethernet.source != *source.config.mac) return SwitchDrop::spoofed_mac;
        if (const auto reason = check_ipv4_source(source.config, in.looked_at())) return reason;
    } else if (owner_of(in.ethernet.source)) {
        return SwitchDrop::spoofed_mac;
    }
    if (header_at<EthernetHeader>(in.looked_at(), 0)->type == ethertype::kIpv6)
        return check_ipv6_source(source, in);
    return guard_dhcp_ ? check_dhcp_source(source.config, in.looked_at()) : std::nullopt;
}

// Ports that send from any address, as that of a router does, are trusted.
std::optional<SwitchDrop> LearningSwitch::check_ipv6_source(const Port& source, const Ingress& in) {
    Ipv6Claims claims;
    if (const auto reason = check_ipv6(source.config, guard_dhcp_, in.looked_at(), claims))
        return reason;
    for (const auto& address : claims.addresses) {
        if (address && !ipv6_owners_.claim(*address, in.vlan, source.id, !source.config.mac))
            return SwitchDrop::spoofed_ipv6;
    }
    return {};
}

void LearningSwitch::learn(Port& source, const Ingress& in, uint64_t now_ns) {
    if (!table_.learn(in.ethernet.source, in.vlan, source.id, now_ns))
        ++source.counters.not_learned;
}

void LearningSwitch::flood(Port& source, const Ingress& in, Egress& out, uint64_t now_ns) {
    if (!source.flooded.take(1, now_ns)) {
        ++source.counters.dropped(SwitchDrop::storm);
        return;
    }
    for (const auto& target : ports_) {
        if (target == nullptr || target.get() == &source || !target->is_in(in.vlan)) continue;
        if (source.config.isolated && target->config.isolated) continue;
        deliver(source, *target, in, out, now_ns);
    }
}

void LearningSwitch::send_to_one(Port& source, Port& target, const Ingress& in, Egress& out,
                                 uint64_t now_ns) {
    if (&source == &target) return;  // it is on the sender's own side
    if (source.config.isolated && target.config.isolated) {
        ++source.counters.dropped(SwitchDrop::isolated);
        return;
    }
    deliver(source, target, in, out, now_ns);
}

void LearningSwitch::deliver(Port& source, Port& target, const Ingress& in, Egress& out,
                             uint64_t now_ns) {
    const bool with_tag = in.vlan != target.config.vlan;
    if (target.shares.is_refused(source.id, target.sink.room(), now_ns)) {
        ++source.counters.dropped(SwitchDrop::share);
        return;
    }
    const NetFrame& frame = with_tag ? out.tagged() : out.plain();
    target.shares.add(source.id, frame.size, now_ns);
    if (!target.sink.deliver(frame)) {
        ++target.counters.dropped(SwitchDrop::no_room);
        return;
    }
    target.counters.sent_frames += 1;
    target.counters.sent_bytes += frame.size;
    if (observer_ != nullptr) observer_->on_frame_to(target.id, frame);
}

}  // namespace banyan
