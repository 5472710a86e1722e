// Capture: records what passes between a card and its network: in a pcap file that tcpdump and
// Wireshark read, and for whoever asks while the VM runs. Checksums that a guest leaves to its card
// are not finished there, and segments are as large as the guest sent them.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "backends/net/frame_stream.hpp"
#include "host/posix/unique_fd.hpp"
#include "support/mutex.hpp"
#include "vm/network.hpp"

namespace banyan {

class Capture final : public NetBackend, private NetClient {
public:
    static constexpr size_t kMostStreams = 4;

    // Costs next to nothing until something is to be recorded.
    explicit Capture(std::unique_ptr<NetBackend> network) : network_(std::move(network)) {}

    // Records into a file, which is made anew, from now on.
    Result<void> record_to(const std::string& path);
    // And for who listens at this Unix socket, until he goes. From any thread.
    Result<void> stream_to(Poller& poller, const std::string& path);

    NetOffloads offloads() const override { return network_->offloads(); }
    void set_client_offloads(const NetOffloads& offloads) override {
        network_->set_client_offloads(offloads);
    }
    void set_client_mtu(uint16_t mtu) override { network_->set_client_mtu(mtu); }
    bool link_up() const override { return network_->link_up(); }
    Result<void> start(NetClient& client) override;
    void stop() override { network_->stop(); }
    size_t send(std::span<const NetFrame> frames) override;
    void receive_room_available() override { network_->receive_room_available(); }

private:
    size_t on_frames(std::span<const NetFrame> frames) override;
    void on_send_room() override { client_->on_send_room(); }
    void on_link_changed(bool up) override { client_->on_link_changed(up); }

    void record(std::span<const NetFrame> frames);
    void write_to_file(std::span<const NetFrame> frames) REQUIRES(mutex_);
    bool write_to_file(const NetFrame& frame) REQUIRES(mutex_);

    NetClient* client_ = nullptr;
    std::atomic<bool> active_{false};

    Mutex mutex_;                       // a leaf, but for the file and the streams' own
    UniqueFd file_ GUARDED_BY(mutex_);  // none: nothing is to be written, or that has failed
    std::string path_ GUARDED_BY(mutex_);
    std::vector<std::unique_ptr<FrameStream>> streams_ GUARDED_BY(mutex_);

    const std::unique_ptr<NetBackend> network_;  // goes first: its thread calls what is above
};

}  // namespace banyan
