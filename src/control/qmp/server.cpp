#include "control/qmp/server.hpp"

namespace banyan::qmp {

Server::Server(VmApi& vm, std::string version, Clock clock)
    : vm_(vm), version_(std::move(version)), clock_(std::move(clock)) {
    add_run_commands(commands_, vm_);
    add_query_commands(commands_, vm_, version_);
    add_block_commands(commands_, vm_);
    add_balloon_commands(commands_, vm_);
    add_net_commands(commands_, vm_);
    add_device_commands(commands_, vm_);
    vm_.add_observer(*this);
}

Server::~Server() {
    vm_.remove_observer(*this);
}

void Server::on_vm_event(const VmEvent& event) {
    const Json message = event_of(event, vm_.config(), clock_());
    for (Client* client : clients_)
        client->session_.tell(message);
}

Server::Client::Client(Server& server, Session::Send send)
    : server_(server), session_(server.commands_, server.version_, std::move(send)) {
    server_.clients_.push_back(this);
}

Server::Client::~Client() {
    std::erase(server_.clients_, this);
}

}  // namespace banyan::qmp
