// Capture: records what passes between a card and its network, as a pcap file that tcpdump and
// Wireshark read. Checksums that a guest leaves to its card are not finished there, and segments
// are as large as the guest sent them.
#pragma once

#include <memory>
#include <string>

#include "host/posix/unique_fd.hpp"
#include "support/mutex.hpp"
#include "vm/network.hpp"

namespace banyan {

class Capture final : public NetBackend, private NetClient {
public:
    // Makes the file anew.
    static Result<std::unique_ptr<Capture>> create(const std::string& path,
                                                   std::unique_ptr<NetBackend> network);

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
    Capture(UniqueFd file, std::string path, std::unique_ptr<NetBackend> network)
        : file_(std::move(file)), path_(std::move(path)), network_(std::move(network)) {}

    size_t on_frames(std::span<const NetFrame> frames) override;
    void on_send_room() override { client_->on_send_room(); }
    void on_link_changed(bool up) override { client_->on_link_changed(up); }

    void record(std::span<const NetFrame> frames);
    bool record(const NetFrame& frame);

    Mutex mutex_;                       // a leaf, but for the file; held while it is written
    UniqueFd file_ GUARDED_BY(mutex_);  // none: writing it has failed
    const std::string path_;
    std::unique_ptr<NetBackend> network_;
    NetClient* client_ = nullptr;
};

}  // namespace banyan
