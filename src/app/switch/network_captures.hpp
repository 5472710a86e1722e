// NetworkCaptures: who captures the frames of a network, and which.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/switch/switch_core.hpp"
#include "backends/net/frame_stream.hpp"

namespace banyan {

// On the poller's thread.
class NetworkCaptures final : private SwitchObserver {
public:
    static constexpr size_t kMost = 8;

    // Both outlive it.
    NetworkCaptures(SwitchCore& core, Poller& poller) : core_(core), poller_(poller) {}
    ~NetworkCaptures() { core_.set_observer(nullptr); }
    NetworkCaptures(const NetworkCaptures&) = delete;
    NetworkCaptures& operator=(const NetworkCaptures&) = delete;

    // For who listens at that Unix socket, until he goes: what passes to and from the members of
    // that name; empty: each frame that may pass, once.
    Result<void> add(const std::string& member, const std::string& socket);
    // Once in a while.
    void forget_gone();

private:
    struct One {
        std::string member;
        std::unique_ptr<FrameStream> stream;
    };

    void on_frame_from(SwitchPortId port, const NetFrame& frame) override;
    void on_frame_to(SwitchPortId port, const NetFrame& frame) override;

    SwitchCore& core_;
    Poller& poller_;
    std::vector<One> all_;
};

}  // namespace banyan
