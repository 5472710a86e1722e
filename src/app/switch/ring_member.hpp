// RingMember: a VM, by the rings that it shares with the switch.
#pragma once

#include <functional>
#include <memory>

#include "app/switch/switch_core.hpp"
#include "network/port/port_channel.hpp"
#include "network/port/port_handshake.hpp"
#include "vm/poller.hpp"

namespace banyan {

class RingMember final : public SwitchMember {
public:
    // It has gone, or broke the protocol: to be destroyed, but not within this call.
    using Gone = std::function<void(SwitchMember&)>;

    static constexpr size_t kRingSize = 512 * 1024;

    // Gives the member its channel on `socket`, and a port.
    static Result<std::unique_ptr<RingMember>> create(SwitchCore& core, Poller& poller,
                                                      UniqueFd& socket, const PortHello& hello,
                                                      Gone gone);
    ~RingMember() override;

    bool deliver(const NetFrame& frame) override;
    SinkRoom room() const override { return room_of_sink(channel_->out().used(), kRingSize); }
    void flush() override;

private:
    // One of the two handles that are watched.
    class Watch final : public PollClient {
    public:
        Watch(RingMember& member, void (RingMember::*action)())
            : member_(member), action_(action) {}
        void on_ready(Readiness) override { (member_.*action_)(); }

    private:
        RingMember& member_;
        void (RingMember::*action_)();
    };

    RingMember(SwitchCore& core, Poller& poller, std::string name,
               std::unique_ptr<PortChannel> channel, Gone gone);
    Result<void> connect(UniqueFd& socket, const SwitchPortConfig& config);
    void on_wake();
    void on_socket();
    void give_up();

    SwitchCore& core_;
    Poller& poller_;
    std::unique_ptr<PortChannel> channel_;
    Gone gone_;
    UniqueFd socket_;
    Watch wake_watch_{*this, &RingMember::on_wake};
    Watch socket_watch_{*this, &RingMember::on_socket};
    bool watched_ = false;
    bool gone_told_ = false;
};

}  // namespace banyan
