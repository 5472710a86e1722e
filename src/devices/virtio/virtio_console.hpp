// VirtioConsole: a console with one port (virtio 1.2, section 5.3).
//
// The chain that is being sent stays in the available ring until its last byte is out, so that a
// slow outside holds the driver back and only an offset needs to be kept.
#pragma once

#include <array>
#include <cstdint>

#include "devices/virtio/virtio_device.hpp"
#include "support/le.hpp"
#include "vm/backend.hpp"

namespace banyan {

struct VirtioConsoleWiring {
    GuestMemory& memory;
    CharBackend& out;
    CharSource* source = nullptr;  // told when the driver has given buffers for input
};

// 5.3.4 "Device configuration layout".
struct VirtioConsoleConfig {
    le16 cols;
    le16 rows;
    le32 max_nr_ports;
    le32 emerg_wr;
};
static_assert(sizeof(VirtioConsoleConfig) == 12);

class VirtioConsole final : public VirtioDevice, public CharClient {
public:
    explicit VirtioConsole(const VirtioConsoleWiring& wiring);

    // The size of the terminal; the driver is told. Call it with the device's lock held.
    void resize(uint16_t cols, uint16_t rows);

    size_t receive_room() const override { return live() ? receive_room_ : 0; }
    void on_receive(std::span<const uint8_t> bytes) override;
    void on_writable() override;

    std::span<const std::byte> config_space() const override;
    void write_config(uint32_t offset, unsigned size, uint32_t value) override;

private:
    static constexpr unsigned kReceiveQueue = 0;
    static constexpr unsigned kTransmitQueue = 1;

    Step step(unsigned queue) override;
    Step step_receive();
    Virtqueue::Next look_for_room();
    Step step_transmit();
    void on_reset() override;
    void on_queue_reset(unsigned queue) override;
    void save_device(StateWriter& writer) const override;
    Result<void> restore_device(StateReader& reader) override;

    // wiring
    CharBackend& out_;
    CharSource* source_;
    // bookkeeping
    DescriptorChain chain_;
    std::array<uint8_t, 4096> copy_{};
    size_t receive_room_ = 0;  // of the next chain, when it was last looked at
    // guest-visible state
    VirtioConsoleConfig config_{};
    uint64_t transmitted_ = 0;  // of the chain that is being sent
};

}  // namespace banyan
