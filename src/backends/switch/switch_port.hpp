// SwitchPort: a network card's connection to a named network.
//
// Frames go through rings that are shared with the switch; the switch takes every offload, and what
// the device does not take is finished here, by the one who receives it. When the switch is gone
// the link is down, and the port asks to join again, less and less often, until it is back.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/switch/joining.hpp"
#include "network/offload/frame_finisher.hpp"
#include "vm/network.hpp"
#include "vm/poller.hpp"

namespace banyan {

struct SwitchPortCounts {
    uint64_t dropped_link_down = 0;  // sent while there was no switch
    uint64_t dropped_malformed = 0;  // received, and could not be finished
    uint64_t joined = 0;             // how often
};

class SwitchPort final : public NetBackend, private PollClient {
public:
    struct Config {
        std::string socket;  // of the switch
        PortHello hello;
    };

    // Asks to join, and waits a moment for the answer: fails if the switch refuses. If none is
    // there the port is made, with its link down.
    static Result<std::unique_ptr<SwitchPort>> create(Poller& poller, Config config);
    ~SwitchPort() override;
    SwitchPort(const SwitchPort&) = delete;
    SwitchPort& operator=(const SwitchPort&) = delete;

    NetOffloads offloads() const override;
    void set_client_offloads(const NetOffloads& offloads) override;
    bool link_up() const override { return link_up_.load(std::memory_order_relaxed); }
    Result<void> start(NetClient& client) override;
    void stop() override;
    size_t send(std::span<const NetFrame> frames) override;
    void receive_room_available() override;

    SwitchPortCounts counts() const;

private:
    // What a handle of the own epoll set is.
    enum class Source : uint32_t { socket, wake, retry, room };

    SwitchPort(Poller& poller, Config config) : poller_(poller), config_(std::move(config)) {}

    // Joining and losing, on the poller's thread (and before it knows of the port).
    Result<void> open_handles();
    Result<void> watch(int handle, Source source);
    void try_to_join();
    void on_socket();
    Result<void> take_answer();
    void join(std::unique_ptr<PortChannel> channel);
    void lose();
    void arm_retry();

    // Frames, on the poller's thread.
    void on_ready(Readiness ready) override;
    void handle(Source source);
    void tell_send_room();
    void receive();
    enum class Progress : uint8_t { some, none_left, starved, broken };
    Progress receive_some(const NetOffloads& taken);
    bool deliver_finished();
    void finish(const RingFrame& frame, const NetOffloads& taken);

    // wiring
    Poller& poller_;
    const Config config_;
    NetClient* client_ = nullptr;
    UniqueFd epoll_;  // all that is waited for, so that the poller watches one handle
    UniqueFd retry_;  // timerfd
    UniqueFd room_;   // eventfd: the device has room

    // bookkeeping of the poller's thread
    UniqueFd socket_;
    unsigned retry_ms_ = 0;
    std::string last_refusal_;
    FrameFinisher finisher_;
    std::vector<std::byte> finished_;  // frames that were finished, and not all taken
    std::vector<size_t> finished_ends_;
    size_t finished_taken_ = 0;

    std::atomic<bool> link_up_{false};
    mutable std::mutex mutex_;              // a leaf: no client is called under it
    std::unique_ptr<PortChannel> channel_;  // set by the poller's thread
    bool send_blocked_ = false;
    NetOffloads client_offloads_;
    SwitchPortCounts counts_;
};

}  // namespace banyan
