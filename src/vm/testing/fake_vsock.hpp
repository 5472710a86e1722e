// The host side of a socket device for tests: streams in memory.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "vm/vsock.hpp"

namespace banyan {

// What a test sees of a stream; outlives it.
struct FakeVsockPeer {
    uint32_t port = 0;
    std::string received;      // from the guest
    size_t room = SIZE_MAX;    // that is left for more of it
    std::string to_guest;      // not read yet
    bool ends = false;         // after to_guest
    bool gone = false;         // and takes nothing any more
    bool guest_ended = false;  // writes no more
    bool closed = false;       // by the device
    uint32_t accepted_as = 0;  // the host's port
    uint32_t cookie = 0;
    Readiness interest;
};

class FakeVsockStream final : public VsockStream {
public:
    explicit FakeVsockStream(std::shared_ptr<FakeVsockPeer> peer) : peer_(std::move(peer)) {}
    ~FakeVsockStream() override { peer_->closed = true; }

    Moved read(std::span<std::byte> to) override {
        const size_t count = std::min(to.size(), peer_->to_guest.size());
        std::transform(peer_->to_guest.begin(), peer_->to_guest.begin() + static_cast<long>(count),
                       to.begin(), [](char c) { return static_cast<std::byte>(c); });
        peer_->to_guest.erase(0, count);
        if (!peer_->to_guest.empty()) return {count, State::open};
        return {count, peer_->ends ? State::ended : State::waiting};
    }
    Moved write(std::span<const std::byte> from) override {
        if (peer_->gone) return {0, State::ended};
        const size_t count = std::min(from.size(), peer_->room);
        for (const std::byte byte : from.first(count))
            peer_->received.push_back(static_cast<char>(byte));
        peer_->room -= count;
        return {count, count == from.size() ? State::open : State::waiting};
    }
    void end_writing() override { peer_->guest_ended = true; }
    void accepted(uint32_t host_port) override { peer_->accepted_as = host_port; }
    void watch(uint32_t cookie, Readiness interest) override {
        peer_->cookie = cookie;
        peer_->interest = interest;
    }

private:
    std::shared_ptr<FakeVsockPeer> peer_;
};

// Somebody is behind each port but 0.
class FakeVsock final : public VsockBackend {
public:
    std::unique_ptr<VsockStream> connect(uint32_t host_port) override {
        if (host_port == 0) return nullptr;
        return make(host_port);
    }
    std::unique_ptr<VsockStream> make(uint32_t port) {
        peers.push_back(std::make_shared<FakeVsockPeer>());
        peers.back()->port = port;
        return std::make_unique<FakeVsockStream>(peers.back());
    }

    std::vector<std::shared_ptr<FakeVsockPeer>> peers;
};

}  // namespace banyan
