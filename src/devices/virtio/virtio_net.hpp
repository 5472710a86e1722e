// VirtioNet: a network card (virtio 1.2, section 5.1), with one or more pairs of a receive and a
// transmit queue, and a control queue.
//
// Frames that are sent go from guest memory to the back end directly, several in one call; what the
// back end has no room for stays in the ring. A frame that is received is copied to the buffers
// that the driver gave; while there are too few, the back end keeps what it has.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "devices/virtio/virtio_device.hpp"
#include "devices/virtio/virtio_net_filter.hpp"
#include "devices/virtio/virtio_net_flows.hpp"
#include "devices/virtio/virtio_net_regs.hpp"
#include "vm/net_statistics.hpp"
#include "vm/network.hpp"

namespace banyan {

struct VirtioNetConfig {
    virtio::MacAddress mac{};
    uint16_t mtu = kEthernetMtu;  // what the driver is told, 68 to 65535
    unsigned queue_pairs = 1;     // 1 to VirtioNet::kMostPairs
};

struct VirtioNetWiring {
    GuestMemory& memory;
    NetBackend& backend;
};

class VirtioNet final : public VirtioDevice, public NetClient {
public:
    static constexpr unsigned kMostPairs = 16;

    VirtioNet(const VirtioNetConfig& config, const VirtioNetWiring& wiring);
    ~VirtioNet() override;

    std::span<const std::byte> config_space() const override;
    // The back end stands still until the queues run again.
    void drain() override;

    size_t on_frames(std::span<const NetFrame> frames) override;
    void on_send_room() override;
    void on_link_changed(bool up) override;

    // From any thread.
    const NetStatistics& statistics() const { return statistics_; }

private:
    // A chain of the transmit queue, with the frame that it holds, if that makes sense.
    struct Outgoing {
        Virtqueue::Position position;
        uint16_t head;
        bool is_frame;
    };
    enum class Fill : uint8_t { done, no_room, too_large, broken };
    // What is still to be copied of a header and a frame.
    class Source;

    bool negotiated(uint64_t feature) const { return (driver_features() & feature) != 0; }
    unsigned control_queue() const;
    Step step(unsigned queue) override;
    Step step_receive(unsigned pair);
    Step step_transmit(unsigned pair);
    Step step_control();

    void gather(Virtqueue& queue, unsigned pair);
    bool add_frame(const DescriptorChain& chain, unsigned pair);
    void give_back(Virtqueue& queue, size_t frames_taken);

    bool receive(const NetFrame& frame);
    unsigned pair_of(std::span<const uint8_t> start) const;
    Fill fill(Virtqueue& queue, const virtio::NetHeader& header, const NetFrame& frame);
    Fill put(Virtqueue& queue, Source& source);
    size_t most_buffers(const Virtqueue& queue) const;

    // virtio_net_control.cpp
    bool control(std::span<const uint8_t> request);
    bool control_receive(uint8_t command, std::span<const uint8_t> data);
    bool control_mac(uint8_t command, std::span<const uint8_t> data);
    bool set_mac_tables(std::span<const uint8_t> data);
    bool control_vlan(uint8_t command, std::span<const uint8_t> data);
    bool control_pairs(uint8_t command, std::span<const uint8_t> data);
    bool control_offloads(uint8_t command, std::span<const uint8_t> data);

    void start();
    void stop();
    void set_status(uint16_t status);
    void tell_offloads();
    uint64_t offloads() const;
    void on_reset() override;
    void save_device(StateWriter& writer) const override;
    Result<void> restore_device(StateReader& reader) override;

    // configuration
    virtio::MacAddress mac_;
    unsigned pair_count_;
    // wiring
    NetBackend& backend_;
    // bookkeeping
    NetStatistics statistics_;
    bool started_ = false;
    bool announce_at_start_ = false;
    uint64_t waits_to_receive_ = 0;  // a bit for each pair: frames wait outside for buffers
    uint64_t waits_to_send_ = 0;     // a bit for each pair: chains wait for room outside
    unsigned burst_ = 0;             // frames sent without a pause
    NetFlows flows_;
    // of one step
    std::vector<DescriptorChain> chains_;
    std::vector<std::span<const std::byte>> parts_;
    std::vector<NetFrame> frames_;
    std::vector<Outgoing> outgoing_;
    std::vector<Virtqueue::UsedChain> used_;
    std::vector<uint8_t> request_;
    NetOffloads taken_offloads_;
    // guest-visible state
    virtio::NetConfig config_;
    NetFilter filter_;
    uint16_t pairs_ = 1;
    std::optional<uint64_t> offloads_set_;
};

}  // namespace banyan
