#include "devices/virtio/virtio_net.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "devices/virtio/virtio_net_header.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"
#include "support/log.hpp"

namespace banyan {

using namespace virtio;

namespace {

constexpr uint16_t kNetQueueSize = 256;
constexpr uint16_t kNetControlQueueSize = 64;
constexpr size_t kBatch = 16;  // frames that go to the back end in one call
// Of one received frame: the largest one fits into buffers of 1 KiB.
constexpr size_t kMostBuffers = 66;
// More than any command with full tables; the rest of longer ones says nothing.
constexpr size_t kMostControlBytes = 4096;

uint64_t net_features(const VirtioNetConfig& config, const NetOffloads& outside) {
    uint64_t features = kNetGuestCsum | kNetCtrlGuestOffloads | kNetMtu | kNetMac | kNetGuestTso4 |
                        kNetGuestTso6 | kNetGuestEcn | kNetGuestUso4 | kNetGuestUso6 |
                        kNetMrgRxbuf | kNetStatus | kNetCtrlVq | kNetCtrlRx | kNetCtrlVlan |
                        kNetCtrlRxExtra | kNetGuestAnnounce | kNetCtrlMacAddr;
    if (outside.checksum) features |= kNetCsum;
    if (outside.tcp4) features |= kNetHostTso4;
    if (outside.tcp6) features |= kNetHostTso6;
    if (outside.ecn) features |= kNetHostEcn;
    if (outside.udp) features |= kNetHostUso;
    if (config.queue_pairs > 1) features |= kNetMq;
    return features;
}

std::vector<uint16_t> net_queue_sizes(unsigned pairs) {
    std::vector<uint16_t> sizes(size_t{2} * pairs, kNetQueueSize);
    sizes.push_back(kNetControlQueueSize);
    return sizes;
}

// Copies the first bytes of a frame, because its memory may change.
template <size_t N>
class FrameStart {
public:
    explicit FrameStart(const NetFrame& frame)
        : size_(copy_frame(frame, std::as_writable_bytes(std::span(bytes_)))) {}
    std::span<const uint8_t> bytes() const { return std::span(bytes_).first(size_); }

private:
    std::array<uint8_t, N> bytes_{};
    size_t size_;
};

}  // namespace

class VirtioNet::Source {
public:
    Source(std::span<const std::byte> header, const NetFrame& frame)
        : next_(header), parts_(frame.parts), left_(header.size() + frame.size) {}

    bool empty() const { return left_ == 0; }

    // Fills the chain as far as it goes; how many bytes.
    uint32_t copy_to(const DescriptorChain& chain, GuestMemory& memory) {
        uint64_t offset = 0;
        while (left_ != 0 && offset < chain.writable_length()) {
            if (next_.empty()) {
                next_ = parts_.front();
                parts_ = parts_.subspan(1);
                continue;
            }
            const size_t copied = chain.copy_to(memory, offset, next_);
            next_ = next_.subspan(copied);
            left_ -= copied;
            offset += copied;
        }
        return static_cast<uint32_t>(offset);
    }

private:
    std::span<const std::byte> next_;
    std::span<const std::span<const std::byte>> parts_;
    size_t left_;
};

VirtioNet::VirtioNet(const VirtioNetConfig& config, const VirtioNetWiring& wiring)
    : VirtioDevice(
          wiring.memory,
          {"virtio-net", kDeviceNet, 0x020000, net_features(config, wiring.backend.offloads())},
          net_queue_sizes(config.queue_pairs)),
      mac_(config.mac),
      pair_count_(config.queue_pairs),
      backend_(wiring.backend) {
    BANYAN_ASSERT(pair_count_ >= 1 && pair_count_ <= kMostPairs);
    BANYAN_ASSERT(config.mtu >= 68);  // 5.1.4.1
    config_.mac = mac_;
    config_.status = kNetLinkUp;
    config_.max_virtqueue_pairs = static_cast<uint16_t>(pair_count_);
    config_.mtu = config.mtu;
    chains_.assign(kBatch, DescriptorChain(kNetQueueSize));
    parts_.reserve(kBatch * kNetQueueSize);
    frames_.reserve(kBatch);
    outgoing_.reserve(kBatch);
    used_.reserve(std::max(kBatch, kMostBuffers));
    request_.reserve(kMostControlBytes);
}

VirtioNet::~VirtioNet() {
    stop();
}

std::span<const std::byte> VirtioNet::config_space() const {
    return std::as_bytes(std::span(&config_, 1));
}

// The driver may use its queues only now: what is behind the card is not needed before.
void VirtioNet::start() {
    if (started_) return;
    started_ = true;
    backend_.set_client_mtu(negotiated(kNetMtu) ? uint16_t{config_.mtu} : kEthernetMtu);
    tell_offloads();
    if (const auto result = backend_.start(*this); !result) {
        const auto why = result.error().text();
        LOG_LIMITED(LogLevel::warning, "net", "the network card has no link: %.*s",
                    static_cast<int>(why.size()), why.data());
    }
    uint16_t status = backend_.link_up() ? kNetLinkUp : 0;
    const bool announce = announce_at_start_ && negotiated(kNetGuestAnnounce);
    if (announce || (config_.status & kNetAnnounce) != 0) status |= kNetAnnounce;
    announce_at_start_ = false;
    set_status(status);
}

void VirtioNet::stop() {
    if (!started_) return;
    started_ = false;
    backend_.stop();
    waits_to_receive_ = 0;
    waits_to_send_ = 0;
}

void VirtioNet::drain() {
    if (!started_) return;
    stop();
    for (unsigned i = 0; i < queue_count(); ++i)
        continue_later(i);
}

void VirtioNet::set_status(uint16_t status) {
    if (config_.status == status) return;
    config_.status = status;
    config_changed();
}

void VirtioNet::on_link_changed(bool up) {
    const uint16_t announce = config_.status & kNetAnnounce;
    set_status(static_cast<uint16_t>(announce | (up ? kNetLinkUp : 0)));
}

uint64_t VirtioNet::offloads() const {
    return offloads_set_.value_or(driver_features() & kNetGuestOffloads);
}

void VirtioNet::tell_offloads() {
    taken_offloads_ = guest_offloads(offloads());
    backend_.set_client_offloads(taken_offloads_);
}

// 5.1.2: behind the pairs that the driver knows of.
unsigned VirtioNet::control_queue() const {
    return negotiated(kNetMq) ? 2 * pair_count_ : 2;
}

VirtioDevice::Step VirtioNet::step(unsigned index) {
    start();
    if (index == control_queue()) return step_control();
    const unsigned pair = index / 2;
    if (pair >= pairs_) return Step::stalled;  // 5.1.6.5.5.2
    return index % 2 == 0 ? step_receive(pair) : step_transmit(pair);
}

// While frames do not wait, the driver need not tell of new buffers.
VirtioDevice::Step VirtioNet::step_receive(unsigned pair) {
    if (!has_bit(waits_to_receive_, pair)) return Step::stalled;
    waits_to_receive_ &= ~bit(pair);
    backend_.receive_room_available();
    return Step::stalled;
}

VirtioDevice::Step VirtioNet::step_transmit(unsigned pair) {
    Virtqueue& transmit = queue(2 * pair + 1);
    if (has_bit(waits_to_send_, pair)) return Step::stalled;
    // A driver that sends without end gets its vCPU back from time to time.
    if (burst_ >= 2U * kNetQueueSize) {
        burst_ = 0;
        continue_later(2 * pair + 1);
        return Step::stalled;
    }
    gather(transmit, pair);
    if (outgoing_.empty()) {
        burst_ = 0;
        const Virtqueue::Next next = transmit.peek(chains_[0]);
        return next == Virtqueue::Next::broken ? Step::broken : Step::empty;
    }
    const size_t taken = frames_.empty() ? 0 : backend_.send(frames_);
    give_back(transmit, taken);
    if (taken == frames_.size()) return Step::done;
    waits_to_send_ |= bit(pair);
    return Step::stalled;
}

// A chain that breaks a rule stays for the next step.
void VirtioNet::gather(Virtqueue& transmit, unsigned pair) {
    parts_.clear();
    frames_.clear();
    outgoing_.clear();
    for (DescriptorChain& chain : chains_) {
        const Virtqueue::Position position = transmit.position();
        if (transmit.peek(chain) != Virtqueue::Next::chain) return;
        transmit.pop();
        outgoing_.push_back({position, chain.head(), add_frame(chain, pair)});
    }
}

// False: what is in the chain is no frame.
bool VirtioNet::add_frame(const DescriptorChain& chain, unsigned pair) {
    NetHeader header;
    if (chain.readable_length() < sizeof(header) + kEthernetHeaderSize ||
        chain.readable_length() > sizeof(header) + kLargestNetFrame)
        return false;
    (void)chain.copy_from(0, std::as_writable_bytes(std::span(&header, 1)));
    const auto size = static_cast<size_t>(chain.readable_length() - sizeof(header));
    const auto info = parse_net_header(header, size, driver_features());
    if (!info) return false;
    const size_t first = parts_.size();
    size_t skip = sizeof(header);
    for (const VirtioSegment& segment : chain.readable()) {
        const size_t skipped = std::min<size_t>(skip, segment.length);
        skip -= skipped;
        if (skipped < segment.length) parts_.push_back(segment.bytes().subspan(skipped));
    }
    frames_.push_back({std::span(parts_).subspan(first), size, *info});
    if (pairs_ > 1) flows_.note_sent(FrameStart<NetFlows::kStart>(frames_.back()).bytes(), pair);
    return true;
}

// In the order of the ring, up to the first frame that was not taken.
void VirtioNet::give_back(Virtqueue& transmit, size_t frames_taken) {
    used_.clear();
    size_t frame = 0;
    for (const Outgoing& one : outgoing_) {
        if (one.is_frame && frame == frames_taken) {
            transmit.rewind(one.position);
            break;
        }
        if (one.is_frame) {
            ++statistics_.sent_frames;
            statistics_.sent_bytes += frames_[frame++].size;
        } else {
            ++statistics_.sent_malformed;
        }
        used_.push_back({one.head, 0});
    }
    if (!used_.empty()) transmit.push_used(used_);
    burst_ += static_cast<unsigned>(used_.size());
}

void VirtioNet::on_send_room() {
    const uint64_t waiting = std::exchange(waits_to_send_, 0);
    for (unsigned pair = 0; pair < pair_count_; ++pair) {
        if (has_bit(waiting, pair)) run_queue(2 * pair + 1);
    }
}

size_t VirtioNet::on_frames(std::span<const NetFrame> frames) {
    size_t taken = 0;
    while (taken < frames.size() && receive(frames[taken]))
        ++taken;
    for (unsigned pair = 0; pair < pairs_; ++pair)
        send_interrupt(2 * pair);
    return taken;
}

// False: there is no room now.
bool VirtioNet::receive(const NetFrame& frame) {
    const FrameStart<NetFlows::kStart> start(frame);
    const auto header = make_net_header(frame.info, frame.size, taken_offloads_);
    if (!header || start.bytes().size() < kEthernetHeaderSize || frame.size > kLargestNetFrame) {
        ++statistics_.received_unusable;
        return true;
    }
    if (!filter_.accepts(start.bytes(), config_.mac, negotiated(kNetCtrlVlan))) {
        ++statistics_.received_for_others;
        return true;
    }
    const unsigned pair = pair_of(start.bytes());
    Virtqueue& receive = queue(2 * pair);
    if (!live() || !receive.enabled()) {
        ++statistics_.received_while_down;
        return true;
    }
    switch (fill(receive, *header, frame)) {
        case Fill::done:
            ++statistics_.received_frames;
            statistics_.received_bytes += frame.size;
            return true;
        case Fill::no_room: waits_to_receive_ |= bit(pair); return false;
        case Fill::too_large: ++statistics_.received_too_large; return true;
        case Fill::broken: set_needs_reset("a receive queue is malformed"); return true;
    }
    return true;
}

unsigned VirtioNet::pair_of(std::span<const uint8_t> start) const {
    return pairs_ == 1 ? 0 : std::min<unsigned>(flows_.pair_for(start), pairs_ - 1U);
}

VirtioNet::Fill VirtioNet::fill(Virtqueue& receive, const NetHeader& header,
                                const NetFrame& frame) {
    const Virtqueue::Position position = receive.position();
    Source source(std::as_bytes(std::span(&header, 1)), frame);
    used_.clear();
    const Fill result = put(receive, source);
    if (result != Fill::done) {
        receive.rewind(position);
        return result;
    }
    // 5.1.6.4.1: known only now, and nothing is given back yet.
    const le16 buffers = static_cast<uint16_t>(used_.size());
    if (used_.size() > 1)
        (void)chains_[0].copy_to(memory(), offsetof(NetHeader, num_buffers),
                                 std::as_bytes(std::span(&buffers, 1)));
    receive.push_used(used_);
    return Fill::done;
}

// Into as many buffers as it takes. Where the ring ends, the driver is asked to tell of more; the
// bound is for a driver that adds and takes back.
VirtioNet::Fill VirtioNet::put(Virtqueue& receive, Source& source) {
    const size_t most = most_buffers(receive);
    for (size_t attempt = 0; attempt < 2 * most && used_.size() < most; ++attempt) {
        DescriptorChain& chain = chains_[used_.empty() ? 0 : 1];
        const Virtqueue::Next next = receive.peek(chain);
        if (next == Virtqueue::Next::broken) return Fill::broken;
        if (next == Virtqueue::Next::empty) {
            if (receive.arm_notification()) continue;
            return Fill::no_room;
        }
        // 5.1.6.3.2: a buffer has room for the header at least.
        if (used_.empty() && chain.writable_length() < sizeof(NetHeader)) return Fill::broken;
        receive.pop();
        used_.push_back({chain.head(), source.copy_to(chain, memory())});
        if (source.empty()) return Fill::done;
    }
    return Fill::too_large;
}

size_t VirtioNet::most_buffers(const Virtqueue& receive) const {
    return negotiated(kNetMrgRxbuf) ? std::min<size_t>(kMostBuffers, receive.size()) : 1;
}

VirtioDevice::Step VirtioNet::step_control() {
    if (!negotiated(kNetCtrlVq)) return Step::stalled;
    Virtqueue& commands = queue(control_queue());
    DescriptorChain& chain = chains_[0];
    switch (commands.peek(chain)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    // Without a place for the answer there is no way to say that anything is wrong.
    if (chain.writable_length() < 1) return Step::broken;
    request_.resize(std::min<uint64_t>(chain.readable_length(), kMostControlBytes));
    (void)chain.copy_from(0, std::as_writable_bytes(std::span(request_)));
    const uint8_t answer = control(request_) ? kNetOk : kNetError;
    (void)chain.copy_to(memory(), 0, std::as_bytes(std::span(&answer, 1)));
    commands.pop();
    commands.push_used(chain.head(), 1);
    return Step::done;
}

void VirtioNet::on_reset() {
    stop();
    config_.mac = mac_;
    config_.status = kNetLinkUp;
    filter_.reset();
    flows_.reset();
    pairs_ = 1;
    offloads_set_.reset();
    announce_at_start_ = false;
    burst_ = 0;
    taken_offloads_ = {};
    backend_.set_client_offloads({});
}

void VirtioNet::save_device(StateWriter& writer) const {
    writer.section(VirtioNetStateV1{.mac = config_.mac,
                                    .announce = (config_.status & kNetAnnounce) != 0,
                                    .pairs = pairs_,
                                    .offloads_set = offloads_set_.has_value(),
                                    .offloads = offloads_set_.value_or(0),
                                    .filter = filter_.state()});
}

// A guest that goes on elsewhere tells its new neighbours where it is (5.1.6.5.4).
Result<void> VirtioNet::restore_device(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<VirtioNetStateV1>());
    const bool pairs_possible =
        state.pairs >= 1 && state.pairs <= pair_count_ && (state.pairs == 1 || negotiated(kNetMq));
    const uint64_t possible_offloads = driver_features() & kNetGuestOffloads;
    if (!pairs_possible || (state.offloads & ~possible_offloads) != 0 ||
        (!state.offloads_set && state.offloads != 0) || !filter_.restore(state.filter)) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: virtio-net: what the driver asked for is impossible");
    }
    config_.mac = state.mac;
    config_.status = static_cast<uint16_t>(kNetLinkUp | (state.announce ? kNetAnnounce : 0));
    pairs_ = state.pairs;
    offloads_set_ = state.offloads_set ? std::optional(state.offloads) : std::nullopt;
    announce_at_start_ = true;
    return {};
}

}  // namespace banyan
