// RateLimit: lets frames of a card pass at no more than a rate, in each direction.
//
// Nothing is dropped: what has to wait stays where it is, in the guest's transmit ring or with the
// network, whose own bounds then hold back or drop (docs/network.md).
#pragma once

#include <atomic>
#include <memory>

#include "backends/net/rate_bucket.hpp"
#include "host/posix/unique_fd.hpp"
#include "support/mutex.hpp"
#include "vm/network.hpp"
#include "vm/poller.hpp"

namespace banyan {

class RateLimit final : public NetBackend, private NetClient {
public:
    // The poller outlives it. 0: no limit.
    static Result<std::unique_ptr<RateLimit>> create(Poller& poller, uint64_t bytes_per_second,
                                                     std::unique_ptr<NetBackend> network);

    ~RateLimit() override;
    RateLimit(const RateLimit&) = delete;
    RateLimit& operator=(const RateLimit&) = delete;

    // From any thread.
    void set_rate(uint64_t bytes_per_second);
    uint64_t rate() const { return rate_; }

    NetOffloads offloads() const override { return network_->offloads(); }
    void set_client_offloads(const NetOffloads& offloads) override {
        network_->set_client_offloads(offloads);
    }
    void set_client_mtu(uint16_t mtu) override { network_->set_client_mtu(mtu); }
    bool link_up() const override { return network_->link_up(); }
    Result<void> start(NetClient& client) override;
    void stop() override;
    size_t send(std::span<const NetFrame> frames) override;
    void receive_room_available() override { network_->receive_room_available(); }

private:
    // One direction: who has to wait is told by a timer, on the poller's thread.
    class Direction final : public PollClient {
    public:
        Direction(RateLimit& limit, void (RateLimit::*tell)()) : limit_(limit), tell_(tell) {}
        Result<void> open();
        Result<void> watch();
        void unwatch();
        void set_rate(uint64_t bytes_per_second);
        // Of these, how many may pass now; the timer is set for the others.
        size_t admit(std::span<const NetFrame> frames);
        // They did not pass.
        void give_back(std::span<const NetFrame> frames);

    private:
        void on_ready(Readiness ready) override;
        void set_timer(RateBucket::Time in) const;

        RateLimit& limit_;
        void (RateLimit::*const tell_)();
        UniqueFd timer_;
        Mutex mutex_;  // a leaf
        RateBucket bucket_ GUARDED_BY(mutex_){0};
    };

    RateLimit(Poller& poller, std::unique_ptr<NetBackend> network)
        : poller_(poller), network_(std::move(network)) {}
    size_t on_frames(std::span<const NetFrame> frames) override;
    void on_send_room() override { client_->on_send_room(); }
    void on_link_changed(bool up) override { client_->on_link_changed(up); }
    void tell_send_room() { client_->on_send_room(); }
    void tell_receive_room() { network_->receive_room_available(); }

    Poller& poller_;
    NetClient* client_ = nullptr;
    std::atomic<uint64_t> rate_{0};
    Direction to_network_{*this, &RateLimit::tell_send_room};
    Direction to_guest_{*this, &RateLimit::tell_receive_room};
    const std::unique_ptr<NetBackend> network_;  // goes first: its thread calls what is above
};

}  // namespace banyan
