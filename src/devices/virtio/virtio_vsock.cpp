#include "devices/virtio/virtio_vsock.hpp"

#include <algorithm>
#include <utility>

#include "devices/virtio/virtio_vsock_state.hpp"
#include "snapshot/state.hpp"

namespace banyan {

using namespace virtio;

namespace {

enum VsockQueue : unsigned { kVsockReceive = 0, kVsockTransmit = 1, kVsockEvent = 2 };
constexpr std::array<uint16_t, 3> kVsockQueueSizes{128, 128, 16};
// Ports of the host's ends of connections that the host opens; far from those of services.
constexpr uint32_t kFirstHostPort = 0x4000'0000;

constexpr VirtioIdentity kVsockIdentity{
    .name = "virtio-vsock",
    .device_type = kDeviceVsock,
    .pci_class = 0x078000,
    .features = kVsockStream | kFeatureInOrder,
};

VsockPorts ports_of(const VsockHeader& header) {
    return {header.src_port, header.dst_port};
}

}  // namespace

VirtioVsock::VirtioVsock(uint64_t cid, const VirtioVsockWiring& wiring)
    : VirtioDevice(wiring.memory, kVsockIdentity, kVsockQueueSizes),
      config_{cid},
      backend_(wiring.backend),
      chain_(kVsockQueueSizes[0]),
      receive_chain_(kVsockQueueSizes[0]),
      // Not written to: a host gives memory only to those that are used.
      buffers_(std::make_unique_for_overwrite<std::byte[]>(size_t{kMaxStreams} *
                                                           VsockConnection::kBufferSize)),
      next_host_port_(kFirstHostPort) {
    room_.reserve(kVsockQueueSizes[0]);
    connections_.reserve(kMaxStreams);
    for (uint32_t i = 0; i < kMaxStreams; ++i) {
        connections_.emplace_back(
            i, std::span(buffers_.get() + size_t{i} * VsockConnection::kBufferSize,
                         VsockConnection::kBufferSize));
    }
}

std::span<const std::byte> VirtioVsock::config_space() const {
    return std::as_bytes(std::span(&config_, 1));
}

VirtioDevice::Step VirtioVsock::step(unsigned index) {
    switch (index) {
        case kVsockReceive: return step_receive();
        case kVsockTransmit: return step_transmit();
        default: return step_event();
    }
}

// Buffers wait in the ring until there is something for the guest.
VirtioDevice::Step VirtioVsock::step_receive() {
    if (held_) return Step::stalled;
    Virtqueue& receive = queue(kVsockReceive);
    switch (receive.peek(receive_chain_)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    if (receive_chain_.writable_length() < sizeof(VsockHeader)) return Step::broken;
    room_.clear();
    uint32_t skip = sizeof(VsockHeader);
    for (const VirtioSegment& segment : receive_chain_.writable()) {
        const uint32_t skipped = std::min(skip, segment.length);
        skip -= skipped;
        if (skipped == segment.length) continue;
        room_.push_back({segment.gpa + skipped, segment.host + skipped, segment.length - skipped});
    }
    VsockHeader header;
    if (!next_packet(room_, header)) return Step::stalled;
    send_packet(header);
    return Step::done;
}

bool VirtioVsock::next_packet(std::span<const VirtioSegment> room, VsockHeader& header) {
    if (!resets_.empty()) {
        // The driver's packets may wait for room among the resets.
        if (resets_.full() && !running_on(kVsockTransmit)) continue_later(kVsockTransmit);
        const VsockPorts ports = resets_.pop();
        header.src_port = ports.host;
        header.dst_port = ports.guest;
        header.type = kVsockTypeStream;
        header.op = static_cast<uint16_t>(VsockOp::reset);
        return true;
    }
    for (unsigned i = 0; i < kMaxStreams; ++i) {
        VsockConnection& connection = connections_[next_connection_];
        next_connection_ = (next_connection_ + 1) % kMaxStreams;
        if (!connection.used()) continue;
        const auto packet = connection.next_packet(room);
        if (!packet) continue;
        header = *packet;
        return true;
    }
    return false;
}

void VirtioVsock::send_packet(VsockHeader& header) {
    header.src_cid = kVsockHostCid;
    header.dst_cid = config_.guest_cid;
    (void)receive_chain_.copy_to(memory(), 0, std::as_bytes(std::span(&header, 1)));
    uint32_t left = header.len;
    for (const VirtioSegment& segment : room_) {
        const uint32_t count = std::min(segment.length, left);
        memory().written(segment.gpa, count);
        left -= count;
    }
    queue(kVsockReceive).pop();
    queue(kVsockReceive)
        .push_used(receive_chain_.head(),
                   static_cast<uint32_t>(sizeof(VsockHeader)) + uint32_t{header.len});
}

VirtioDevice::Step VirtioVsock::step_transmit() {
    // 5.10.6.1.1: nothing is taken while there is no room to answer it.
    if (resets_.full()) return Step::stalled;
    Virtqueue& transmit = queue(kVsockTransmit);
    switch (transmit.peek(chain_)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    VsockHeader header;
    if (chain_.copy_from(0, std::as_writable_bytes(std::span(&header, 1))) != sizeof(header))
        return Step::broken;
    if (header.len > chain_.readable_length() - sizeof(header)) return Step::broken;
    handle(header);
    transmit.pop();
    transmit.push_used(chain_.head(), 0);
    serve_receive();
    return Step::done;
}

// What does not make sense is answered by a reset (5.10.6.4.1), but a reset by nothing.
void VirtioVsock::handle(const VsockHeader& header) {
    const bool known = header.dst_cid == kVsockHostCid && header.src_cid == config_.guest_cid &&
                       header.type == kVsockTypeStream;
    const auto op = static_cast<VsockOp>(uint16_t{header.op});
    VsockConnection* const connection = known ? find(ports_of(header)) : nullptr;
    if (connection == nullptr) {
        if (op == VsockOp::reset) return;
        if (!known || op != VsockOp::request || !open_from_guest(ports_of(header)))
            return refuse(header);
        return find(ports_of(header))->note_credit(header);
    }
    if (op == VsockOp::reset) return connection->close();
    connection->note_credit(header);
    if (handle_open(*connection, header)) return;
    connection->close();
    refuse(header);
}

// False when the guest broke a rule.
bool VirtioVsock::handle_open(VsockConnection& connection, const VsockHeader& header) {
    switch (static_cast<VsockOp>(uint16_t{header.op})) {
        case VsockOp::response: return connection.accept();
        case VsockOp::read_write: return connection.take(chain_, sizeof(header), header.len);
        case VsockOp::shutdown: connection.shut_down(header.flags); return true;
        case VsockOp::credit_update: return true;
        case VsockOp::credit_request: connection.ask_for_credit_update(); return true;
        default: return false;
    }
}

bool VirtioVsock::open_from_guest(const VsockPorts& ports) {
    VsockConnection* const connection = find_free();
    if (connection == nullptr) return false;
    auto stream = backend_.connect(ports.host);
    if (stream == nullptr) return false;
    connection->open(ports, std::move(stream), VsockConnection::By::guest);
    return true;
}

void VirtioVsock::refuse(const VsockHeader& header) {
    (void)resets_.push(ports_of(header));  // step_transmit() saw to the room
}

void VirtioVsock::serve_receive() {
    Virtqueue& receive = queue(kVsockReceive);
    if (!receive.enabled()) return;
    for (unsigned budget = receive.size(); budget != 0; --budget) {
        const Step result = step_receive();
        if (result == Step::done) continue;
        if (result == Step::empty && receive.arm_notification()) continue;
        if (result == Step::broken) set_needs_reset("a queue is malformed");
        break;
    }
    send_interrupt(kVsockReceive);
}

void VirtioVsock::on_stream_ready(uint32_t cookie, Readiness ready) {
    if (cookie >= connections_.size() || !connections_[cookie].used()) return;
    connections_[cookie].on_ready(ready);
    run_queue(kVsockReceive);
}

void VirtioVsock::on_connect(uint32_t guest_port, std::unique_ptr<VsockStream> stream) {
    VsockConnection* const connection = find_free();
    if (!live() || connection == nullptr) return;
    connection->open({guest_port, free_host_port()}, std::move(stream), VsockConnection::By::host);
    run_queue(kVsockReceive);
}

void VirtioVsock::hold(bool held) {
    held_ = held;
    if (!held) run_queue(kVsockReceive);
}

VsockConnection* VirtioVsock::find(const VsockPorts& ports) {
    const auto found = std::find_if(connections_.begin(), connections_.end(),
                                    [&](const VsockConnection& c) { return c.is(ports); });
    return found != connections_.end() ? &*found : nullptr;
}

VsockConnection* VirtioVsock::find_free() {
    const auto found = std::find_if(connections_.begin(), connections_.end(),
                                    [](const VsockConnection& c) { return !c.used(); });
    return found != connections_.end() ? &*found : nullptr;
}

// No two connections have the same, and there are fewer connections than ports.
uint32_t VirtioVsock::free_host_port() {
    const auto taken = [this](uint32_t port) {
        return std::any_of(connections_.begin(), connections_.end(),
                           [&](const auto& c) { return c.used() && c.ports().host == port; });
    };
    uint32_t port = next_host_port_;
    while (taken(port))
        port = kFirstHostPort | (port + 1);
    next_host_port_ = kFirstHostPort | (port + 1);
    return port;
}

// 5.10.6.7: after a restore the guest's streams have no other ends any more.
VirtioDevice::Step VirtioVsock::step_event() {
    if (!streams_lost_) return Step::stalled;
    Virtqueue& events = queue(kVsockEvent);
    switch (events.peek(chain_)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    const le32 id{kVsockEventTransportReset};
    const size_t length = chain_.copy_to(memory(), 0, std::as_bytes(std::span(&id, 1)));
    events.pop();
    events.push_used(chain_.head(), static_cast<uint32_t>(length));
    streams_lost_ = false;
    return Step::done;
}

void VirtioVsock::on_reset() {
    for (VsockConnection& connection : connections_)
        connection.close();
    resets_.clear();
    streams_lost_ = false;
}

void VirtioVsock::save_device(StateWriter& writer) const {
    const bool has_streams = std::any_of(connections_.begin(), connections_.end(),
                                         [](const VsockConnection& c) { return c.used(); });
    writer.section(VirtioVsockStateV1{streams_lost_ || has_streams});
}

Result<void> VirtioVsock::restore_device(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<VirtioVsockStateV1>());
    streams_lost_ = state.had_streams;
    return {};
}

}  // namespace banyan
