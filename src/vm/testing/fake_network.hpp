// A network in memory: keeps what a card sends, and gives it what a test or fuzz target says.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "vm/network.hpp"

namespace banyan {

class FakeNetwork final : public NetBackend {
public:
    struct Sent {
        std::string bytes;
        NetFrameInfo info;
    };

    NetOffloads offloads() const override { return takes; }
    void set_client_offloads(const NetOffloads& offloads) override { client_takes = offloads; }
    void set_client_mtu(uint16_t mtu) override { client_mtu = mtu; }
    bool link_up() const override { return up; }
    Result<void> start(NetClient& client) override {
        ++starts;
        client_ = &client;
        if (!can_start) return fail(ErrorCode::unsupported, "there is no network");
        return {};
    }
    void stop() override { client_ = nullptr; }
    size_t send(std::span<const NetFrame> frames) override {
        ++sends;
        size_t taken = 0;
        for (const NetFrame& frame : frames) {
            if (room == 0) break;
            --room;
            ++taken;
            sent.push_back({flatten(frame), frame.info});
        }
        return taken;
    }
    void receive_room_available() override { ++room_calls; }

    bool running() const { return client_ != nullptr; }
    NetClient* client() { return client_; }
    // How many of them the card took.
    size_t deliver(const std::vector<std::string>& frames, const NetFrameInfo& info = {}) {
        if (client_ == nullptr) return 0;
        std::vector<std::span<const std::byte>> parts;
        std::vector<NetFrame> offered;
        for (const std::string& frame : frames)
            parts.push_back(std::as_bytes(std::span(frame)));
        for (const auto& part : parts)
            offered.push_back({std::span(&part, 1), part.size(), info});
        return client_->on_frames(offered);
    }

    NetOffloads takes{true, true, true, true, true};
    NetOffloads client_takes;
    uint16_t client_mtu = 0;
    bool up = true;
    bool can_start = true;
    size_t room = ~size_t{0};
    std::vector<Sent> sent;
    unsigned sends = 0;
    unsigned starts = 0;
    unsigned room_calls = 0;

private:
    static std::string flatten(const NetFrame& frame) {
        std::string bytes;
        for (const auto& part : frame.parts)
            bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
        return bytes;
    }

    NetClient* client_ = nullptr;
};

}  // namespace banyan
