#include "devices/virtio/virtio_console.hpp"

#include <algorithm>
#include <cstddef>

#include "devices/virtio/virtio_console_state.hpp"
#include "snapshot/state.hpp"

namespace banyan {

namespace {

constexpr std::array<uint16_t, 2> kConsoleQueueSizes{64, 64};

// 5.3.3 "Feature bits".
constexpr uint64_t kConsoleSize = bit(0);
constexpr uint64_t kConsoleEmergencyWrite = bit(2);

constexpr VirtioIdentity kConsoleIdentity{
    .name = "virtio-console",
    .device_type = virtio::kDeviceConsole,
    .pci_class = 0x078000,
    .features = kConsoleSize | kConsoleEmergencyWrite | virtio::kFeatureInOrder,
};

}  // namespace

VirtioConsole::VirtioConsole(const VirtioConsoleWiring& wiring)
    : VirtioDevice(wiring.memory, kConsoleIdentity, kConsoleQueueSizes),
      out_(wiring.out),
      source_(wiring.source),
      chain_(kConsoleQueueSizes[0]) {}

void VirtioConsole::resize(uint16_t cols, uint16_t rows) {
    if (config_.cols == cols && config_.rows == rows) return;
    config_.cols = cols;
    config_.rows = rows;
    config_changed();
}

VirtioDevice::Step VirtioConsole::step(unsigned index) {
    return index == kReceiveQueue ? step_receive() : step_transmit();
}

// Input waits outside until there is room, so a buffer is not taken before bytes for it come.
VirtioDevice::Step VirtioConsole::step_receive() {
    Virtqueue& receive = queue(kReceiveQueue);
    const bool was_full = receive_room_ == 0;
    switch (look_for_room()) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    if (receive_room_ == 0) {  // a buffer that cannot hold anything
        receive.pop();
        receive.push_used(chain_.head(), 0);
        return Step::done;
    }
    if (!was_full || source_ == nullptr) return Step::stalled;
    const uint16_t before = receive.state().next_available;
    source_->receive_room_available();
    return receive.state().next_available != before ? Step::done : Step::stalled;
}

Virtqueue::Next VirtioConsole::look_for_room() {
    const Virtqueue::Next next = queue(kReceiveQueue).peek(chain_);
    receive_room_ =
        next == Virtqueue::Next::chain ? static_cast<size_t>(chain_.writable_length()) : 0;
    return next;
}

void VirtioConsole::on_receive(std::span<const uint8_t> bytes) {
    Virtqueue& receive = queue(kReceiveQueue);
    if (!live() || !receive.enabled()) return;
    // The driver may have changed the buffer since there was room; what does not fit now is its
    // loss.
    if (look_for_room() == Virtqueue::Next::chain) {
        const size_t copied = chain_.copy_to(memory(), 0, std::as_bytes(bytes));
        receive.pop();
        receive.push_used(chain_.head(), static_cast<uint32_t>(copied));
        (void)look_for_room();
    }
    // From within step_receive(), the loop there goes on by itself.
    if (!running()) run_queue(kReceiveQueue);
}

// Sends one piece, so that a buffer of any size keeps the vCPU only as long as run_queue() allows.
VirtioDevice::Step VirtioConsole::step_transmit() {
    Virtqueue& transmit = queue(kTransmitQueue);
    switch (transmit.peek(chain_)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    const size_t count = chain_.copy_from(transmitted_, std::as_writable_bytes(std::span(copy_)));
    const size_t sent = count == 0 ? 0 : std::min(count, out_.write(std::span(copy_).first(count)));
    transmitted_ += sent;
    if (sent < count) return Step::stalled;
    if (transmitted_ < chain_.readable_length()) return Step::done;
    transmit.pop();
    transmit.push_used(chain_.head(), 0);
    transmitted_ = 0;
    return Step::done;
}

void VirtioConsole::on_writable() {
    run_queue(kTransmitQueue);
}

std::span<const std::byte> VirtioConsole::config_space() const {
    return std::as_bytes(std::span(&config_, 1));
}

// 5.3.5: an emergency write needs neither queues nor negotiation. A byte for which there is no room
// is lost.
void VirtioConsole::write_config(uint32_t offset, unsigned, uint32_t value) {
    if (offset != offsetof(VirtioConsoleConfig, emerg_wr)) return;
    const auto byte = static_cast<uint8_t>(value);
    (void)out_.write({&byte, 1});
}

// The size of the terminal stays: it belongs to the outside.
void VirtioConsole::on_reset() {
    transmitted_ = 0;
    receive_room_ = 0;
}

void VirtioConsole::on_queue_reset(unsigned index) {
    if (index == kReceiveQueue) receive_room_ = 0;
    if (index == kTransmitQueue) transmitted_ = 0;
}

void VirtioConsole::save_device(StateWriter& writer) const {
    writer.section(VirtioConsoleStateV1{config_.cols, config_.rows, transmitted_});
}

Result<void> VirtioConsole::restore_device(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<VirtioConsoleStateV1>());
    config_.cols = state.cols;
    config_.rows = state.rows;
    transmitted_ = state.transmitted;
    return {};
}

}  // namespace banyan
