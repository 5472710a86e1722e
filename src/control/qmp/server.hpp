// Server: what all QMP clients of a VM share: the commands, and the VM's events.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/qmp/events.hpp"
#include "control/qmp/session.hpp"

namespace banyan::qmp {

// All on the thread of the VM's event loop.
class Server final : private VmObserver {
public:
    using Clock = std::function<Time()>;

    // `version`: of Banyan. `vm` outlives it.
    Server(VmApi& vm, std::string version, Clock clock);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Owners of other parts of the VM add their commands here, before there are clients.
    Commands& commands() { return commands_; }

    // A client of the server, which outlives it.
    class Client {
    public:
        Client(Server& server, Session::Send send);
        ~Client();
        Client(const Client&) = delete;
        Client& operator=(const Client&) = delete;
        void received(std::string_view bytes) { session_.received(bytes); }

    private:
        friend Server;
        Server& server_;
        Session session_;
    };

private:
    void on_vm_event(const VmEvent& event) override;

    VmApi& vm_;
    const std::string version_;
    const Clock clock_;
    Commands commands_;
    std::vector<Client*> clients_;
};

// What every VM understands.
void add_run_commands(Commands& commands, VmApi& vm);
void add_query_commands(Commands& commands, const VmApi& vm, std::string version);
void add_block_commands(Commands& commands, const VmApi& vm);
void add_balloon_commands(Commands& commands, VmApi& vm);
void add_net_commands(Commands& commands, VmApi& vm);
void add_device_commands(Commands& commands, VmApi& vm);

}  // namespace banyan::qmp
