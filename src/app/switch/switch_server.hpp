// SwitchServer: a network's sockets: who comes, who goes, who asks. On one poller's thread.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "app/network/network_process.hpp"
#include "app/switch/network_captures.hpp"
#include "app/switch/switch_core.hpp"
#include "app/switch/switch_report.hpp"
#include "host/linux/run_directory.hpp"
#include "host/linux/ticker.hpp"
#include "host/posix/notifier.hpp"
#include "network/port/port_handshake.hpp"

namespace banyan {

class SwitchServer {
public:
    // `ended`: somebody asked for the end.
    static Result<std::unique_ptr<SwitchServer>> create(Poller& poller,
                                                        NetworkDefinition definition,
                                                        RunDirectory directory,
                                                        std::function<void()> ended);
    ~SwitchServer();
    SwitchServer(const SwitchServer&) = delete;
    SwitchServer& operator=(const SwitchServer&) = delete;

private:
    class Listener;
    class Session;

    SwitchServer(Poller& poller, NetworkDefinition definition, RunDirectory directory,
                 std::function<void()> ended);
    Result<void> open();
    Result<void> open_uplink();
    void accept_port(UniqueFd socket);
    void accept_stream(UniqueFd socket);
    void serve(Session& session);
    void join(Session& session, const PortHello& hello);
    void capture(const Session& session, const PortHello& hello);
    std::string report() const;
    void send_report(Session& session);
    void close(Session& session);
    void remove_later(SwitchMember& member);
    void reap();
    void tick();

    Poller& poller_;
    const RunDirectory directory_;
    const NetworkPaths paths_;
    const std::string leases_file_;
    std::function<void()> ended_;
    const std::chrono::steady_clock::time_point started_;
    SwitchCore core_;
    NetworkCaptures captures_;
    std::unique_ptr<Notifier> reaper_;
    std::unique_ptr<Ticker> ticker_;
    std::unique_ptr<Listener> port_listener_;
    std::unique_ptr<Listener> stream_listener_;
    std::list<std::unique_ptr<Session>> sessions_;  // have not said what they want
    std::list<std::unique_ptr<SwitchMember>> members_;
    std::vector<SwitchMember*> gone_;
    std::list<std::unique_ptr<Session>> closed_;
    uint64_t streams_ = 0;  // for their names
};

}  // namespace banyan
