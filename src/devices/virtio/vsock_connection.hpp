// VsockConnection: one stream between a port of the guest and a port of the host, with its credit
// and what waits to be said to the guest (virtio 1.2, section 5.10.6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "devices/virtio/descriptor_chain.hpp"
#include "devices/virtio/virtio_vsock_regs.hpp"
#include "vm/vsock.hpp"

namespace banyan {

struct VsockPorts {
    uint32_t guest = 0;
    uint32_t host = 0;

    friend bool operator==(const VsockPorts&, const VsockPorts&) = default;
};

class VsockConnection {
public:
    // Bytes that a guest may send ahead of what the host takes.
    static constexpr uint32_t kBufferSize = 64 * 1024;

    // `cookie` names the connection to its stream, `buffer` has kBufferSize bytes.
    VsockConnection(uint32_t cookie, std::span<std::byte> buffer)
        : cookie_(cookie), buffer_(buffer) {}

    bool used() const { return stream_ != nullptr; }
    const VsockPorts& ports() const { return ports_; }
    bool is(const VsockPorts& ports) const { return used() && ports_ == ports; }

    // Opened by the guest, which is told; or by the host, and the guest is asked.
    enum class By : uint8_t { guest, host };
    void open(const VsockPorts& ports, std::unique_ptr<VsockStream> stream, By by);
    void close();

    // What the guest says. False: it broke a rule, and is to be told by a reset.
    void note_credit(const virtio::VsockHeader& header);
    bool accept();
    // The data of the packet, which begin `offset` bytes into the chain.
    bool take(const DescriptorChain& chain, uint64_t offset, uint32_t length);
    void shut_down(uint32_t flags);
    void ask_for_credit_update() { pending_ |= bit_of(virtio::VsockOp::credit_update); }

    void on_ready(Readiness ready);
    // The next packet for the guest: its header, complete but for the CIDs; its data are in `room`
    // then, from the start. Nothing: there is nothing to say.
    std::optional<virtio::VsockHeader> next_packet(std::span<const VirtioSegment> room);

private:
    static constexpr uint32_t bit_of(virtio::VsockOp op) { return 1U << static_cast<unsigned>(op); }
    uint32_t credit() const;
    std::optional<virtio::VsockOp> next_operation();
    uint32_t read_data(std::span<const VirtioSegment> room);
    size_t buffer_data(const DescriptorChain& chain, uint64_t offset, uint32_t length);
    void flush();
    void end_when_flushed();
    void watch();

    // configuration
    uint32_t cookie_;
    std::span<std::byte> buffer_;
    // the stream; null: not used
    std::unique_ptr<VsockStream> stream_;
    VsockPorts ports_;
    bool accepted_ = false;
    uint32_t pending_ = 0;  // a bit for each operation that the guest is to be told
    // from the guest
    uint32_t first_ = 0;      // of the buffer, which is a ring
    uint32_t buffered_ = 0;   // bytes
    uint32_t forwarded_ = 0;  // bytes that left the buffer, modulo 2^32, as the three below
    uint32_t told_forwarded_ = 0;
    uint32_t guest_shut_down_ = 0;  // flags
    bool writing_ended_ = false;
    // to the guest
    uint32_t peer_buffer_ = 0;
    uint32_t peer_forwarded_ = 0;
    uint32_t sent_ = 0;
    uint32_t host_shut_down_ = 0;  // flags
    bool readable_ = false;        // the stream may have something
    bool credit_requested_ = false;
};

}  // namespace banyan
