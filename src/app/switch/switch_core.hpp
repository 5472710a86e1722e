// SwitchCore: a network's switch and its services, without sockets. Single-threaded.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "app/network/network_definition.hpp"
#include "network/services/network_services.hpp"
#include "network/switching/learning_switch.hpp"

namespace banyan {

// Who is connected. Its deliver() calls SwitchCore::touched().
class SwitchMember : public SwitchSink {
public:
    enum class Kind : uint8_t { vm, stream, uplink };

    virtual ~SwitchMember() = default;
    SwitchMember(const SwitchMember&) = delete;
    SwitchMember& operator=(const SwitchMember&) = delete;

    Kind kind() const { return kind_; }
    const std::string& name() const { return name_; }
    // Nothing: it has sent nothing yet, and has no port.
    std::optional<SwitchPortId> port() const { return port_; }

    // What was delivered goes out. May not call the core.
    virtual void flush() = 0;

protected:
    SwitchMember(Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {}

private:
    friend class SwitchCore;

    const Kind kind_;
    const std::string name_;
    std::optional<SwitchPortId> port_;
    bool touched_ = false;
};

class SwitchCore final : private SwitchSink {
public:
    explicit SwitchCore(NetworkDefinition definition);

    // What a member of that name is allowed: as it wishes, unless the definition says otherwise.
    SwitchPortConfig port_config(const std::string& name, const MacAddress& mac) const;

    Result<void> add(SwitchMember& member, const SwitchPortConfig& config);
    // Also one without a port.
    void remove(SwitchMember& member);

    // A batch: frames of one member, then settle(), which lets the services answer and the others
    // be flushed.
    void begin();
    void forward(SwitchMember& from, const NetFrame& frame);
    void settle();
    void touched(SwitchMember& member);

    // Once a second.
    void tick();

    const NetworkDefinition& definition() const { return definition_; }
    const LearningSwitch& ports() const { return switch_; }
    const NetworkServices& services() const { return services_; }
    void set_observer(SwitchObserver* observer) { switch_.set_observer(observer); }
    // Of the member there, "services" for those; empty: nobody is.
    std::string_view name_of(SwitchPortId port) const;
    bool has_member(std::string_view name) const;
    SwitchPortId services_port() const { return services_port_; }
    bool take_leases_changed() { return std::exchange(leases_changed_, false); }
    // As it was in an earlier life.
    void restore_lease(const MacAddress& mac, const Lease& lease);

    // The MAC of the host of that number, of the services or an uplink: the same in each life.
    static MacAddress own_mac(const NetworkDefinition& definition, uint32_t host);

private:
    bool deliver(const NetFrame& frame) override;  // to the services
    void answer_services();
    void set_leased(const MacAddress& mac, Ipv4Address address);

    const NetworkDefinition definition_;
    LearningSwitch switch_;
    NetworkServices services_;
    SwitchPortId services_port_ = 0;
    uint64_t now_ns_ = 0;
    std::map<SwitchPortId, const SwitchMember*> members_;
    std::vector<SwitchMember*> touched_;
    std::deque<std::vector<std::byte>> for_services_;
    bool leases_changed_ = false;
};

}  // namespace banyan
