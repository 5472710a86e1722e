// LearningSwitch: forwards Ethernet frames between ports, as a bridge of IEEE 802.1Q does. Used by
// one thread.
#pragma once

#include <array>
#include <bitset>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "network/switching/fair_share.hpp"
#include "network/switching/ipv6_owners.hpp"
#include "network/switching/mac_table.hpp"
#include "network/switching/switch_port_config.hpp"
#include "network/switching/token_bucket.hpp"
#include "vm/network.hpp"

namespace banyan {

inline SinkRoom room_of_sink(size_t used, size_t size) {
    if (used > size / 8 * 7) return SinkRoom::scarce;
    return used > size / 2 ? SinkRoom::crowded : SinkRoom::plenty;
}

// Where the frames for a port go.
class SwitchSink {
public:
    // Takes the frame, which is valid during the call only; false: there is no room. May not call
    // the switch.
    virtual bool deliver(const NetFrame& frame) = 0;
    virtual SinkRoom room() const { return SinkRoom::plenty; }

protected:
    ~SwitchSink() = default;
};

// Sees frames as they pass, each during the call only. May not call the switch.
class SwitchObserver {
public:
    // It came from there, and may pass.
    virtual void on_frame_from(SwitchPortId port, const NetFrame& frame) = 0;
    // It was given to the port's sink.
    virtual void on_frame_to(SwitchPortId port, const NetFrame& frame) = 0;

protected:
    ~SwitchObserver() = default;
};

class LearningSwitch {
public:
    static constexpr size_t kMostPorts = 256;

    // `guard_dhcp`: only ports that serve DHCP may.
    explicit LearningSwitch(bool guard_dhcp);
    ~LearningSwitch();
    LearningSwitch(const LearningSwitch&) = delete;
    LearningSwitch& operator=(const LearningSwitch&) = delete;

    // Fails where its address is another port's, or there is no room for more. `sink` stays until
    // remove_port().
    Result<SwitchPortId> add_port(const SwitchPortConfig& config, SwitchSink& sink);
    void remove_port(SwitchPortId port);
    void set_ipv4(SwitchPortId port, std::optional<Ipv4Address> address);

    // From a port, to where it belongs. What it looks at is copied first: the parts may change.
    void forward(SwitchPortId from, const NetFrame& frame, uint64_t now_ns);
    // Null: nobody looks.
    void set_observer(SwitchObserver* observer) { observer_ = observer; }
    // Once in a while.
    void forget_silent(uint64_t now_ns) { table_.forget_silent(now_ns); }

    const SwitchPortConfig& config(SwitchPortId port) const;
    const SwitchPortCounters& counters(SwitchPortId port) const;
    std::vector<MacTable::Entry> addresses() const { return table_.entries(); }
    std::optional<SwitchPortId> owner_of(const MacAddress& mac) const;

private:
    struct Port;
    struct Ingress;
    class Egress;

    std::optional<SwitchDrop> admit(Port& source, Ingress& frame, uint64_t now_ns);
    std::optional<SwitchDrop> find_vlan(const Port& source, Ingress& frame) const;
    std::optional<SwitchDrop> check_source(const Port& source, const Ingress& frame);
    std::optional<SwitchDrop> check_ipv6_source(const Port& source, const Ingress& frame);
    void learn(Port& source, const Ingress& frame, uint64_t now_ns);
    void flood(Port& source, const Ingress& frame, Egress& out, uint64_t now_ns);
    void send_to_one(Port& source, Port& target, const Ingress& frame, Egress& out,
                     uint64_t now_ns);
    void deliver(Port& source, Port& target, const Ingress& frame, Egress& out, uint64_t now_ns);

    const bool guard_dhcp_;
    SwitchObserver* observer_ = nullptr;
    MacTable table_;
    Ipv6Owners ipv6_owners_;
    std::vector<std::unique_ptr<Port>> ports_;   // by their number; gaps are nullptr
    std::map<MacAddress, SwitchPortId> owners_;  // of the addresses that ports alone have
    std::vector<std::byte> joined_;              // a frame in too many parts
};

}  // namespace banyan
