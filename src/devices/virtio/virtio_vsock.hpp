// VirtioVsock: the socket device (virtio 1.2, section 5.10): streams between the guest and the
// host.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "devices/virtio/virtio_device.hpp"
#include "devices/virtio/vsock_connection.hpp"
#include "support/fixed_queue.hpp"
#include "vm/vsock.hpp"

namespace banyan {

struct VirtioVsockWiring {
    GuestMemory& memory;
    VsockBackend& backend;
};

class VirtioVsock final : public VirtioDevice, public VsockClient {
public:
    static constexpr unsigned kMaxStreams = 128;

    // `cid` is the guest's, from virtio::kVsockFirstGuestCid on.
    VirtioVsock(uint64_t cid, const VirtioVsockWiring& wiring);

    std::span<const std::byte> config_space() const override;

    void on_stream_ready(uint32_t cookie, Readiness ready) override;
    void on_connect(uint32_t guest_port, std::unique_ptr<VsockStream> stream) override;
    void hold(bool held) override;

private:
    static constexpr size_t kMaxResets = 64;

    Step step(unsigned queue) override;
    Step step_receive();
    Step step_transmit();
    Step step_event();
    void on_reset() override;
    void save_device(StateWriter& writer) const override;
    Result<void> restore_device(StateReader& reader) override;

    bool next_packet(std::span<const VirtioSegment> room, virtio::VsockHeader& header);
    void send_packet(virtio::VsockHeader& header);
    void handle(const virtio::VsockHeader& header);
    bool handle_open(VsockConnection& connection, const virtio::VsockHeader& header);
    bool open_from_guest(const VsockPorts& ports);
    void refuse(const virtio::VsockHeader& header);
    // Gives the guest what waits for it, from within step_transmit().
    void serve_receive();
    VsockConnection* find(const VsockPorts& ports);
    VsockConnection* find_free();
    uint32_t free_host_port();

    // configuration
    virtio::VsockConfig config_;
    // wiring
    VsockBackend& backend_;
    // bookkeeping
    bool held_ = false;
    DescriptorChain chain_;
    DescriptorChain receive_chain_;
    std::vector<VirtioSegment> room_;  // never more than reserved
    std::unique_ptr<std::byte[]> buffers_;
    std::vector<VsockConnection> connections_;
    unsigned next_connection_ = 0;  // whose turn it is
    uint32_t next_host_port_;
    FixedQueue<VsockPorts, kMaxResets> resets_;  // of connections that there are none of
    // guest-visible state
    bool streams_lost_ = false;  // the guest is to be told
};

}  // namespace banyan
