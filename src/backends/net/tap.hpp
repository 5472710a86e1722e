// Tap: a network card on a tap interface of the host's, which whoever owns the host has made and
// connected (to a bridge, or with addresses of its own).
//
// The kernel takes and gives frames with a virtio-net header, so that checksums and segments stay
// unfinished on the whole way. A thread receives; frames are sent by whoever calls.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>

#include "host/posix/unique_fd.hpp"
#include "vm/network.hpp"

namespace banyan {

class Tap final : public NetBackend {
public:
    static Result<std::unique_ptr<Tap>> create(const std::string& interface);
    ~Tap() override;

    NetOffloads offloads() const override;
    void set_client_offloads(const NetOffloads& offloads) override;
    bool link_up() const override { return !gone_; }
    Result<void> start(NetClient& client) override;
    void stop() override;
    size_t send(std::span<const NetFrame> frames) override;
    void receive_room_available() override;

private:
    static constexpr size_t kBatch = 16;

    Tap(UniqueFd tap, UniqueFd wake);

    void run();
    void receive();
    bool read_frame();
    void give_to_client();
    void wait();
    void wake();
    void send(const NetFrame& frame);

    UniqueFd tap_;
    UniqueFd wake_;
    NetClient* client_ = nullptr;
    std::thread thread_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> room_available_{false};
    std::atomic<bool> gone_{false};  // somebody has removed the interface
    // of the thread
    std::unique_ptr<std::byte[]> bytes_;  // a slot for each frame of a batch
    std::array<std::span<const std::byte>, kBatch> parts_{};
    std::array<NetFrame, kBatch> frames_{};
    size_t received_ = 0;
    size_t given_ = 0;
    bool client_full_ = false;
};

}  // namespace banyan
