#include "host/linux/stream_server.hpp"

#include <algorithm>
#include <unistd.h>

namespace banyan {

Result<std::unique_ptr<StreamServer>> StreamServer::listen(Poller& poller,
                                                           const SocketAddress& address,
                                                           Serve serve) {
    TRY_ASSIGN(listener, listen_at(address));
    auto server = std::unique_ptr<StreamServer>(
        new StreamServer(poller, std::move(listener), address.path, std::move(serve)));
    TRY(poller.watch(server->listener_.fd.get(), {.readable = true}, *server));
    return server;
}

StreamServer::~StreamServer() {
    poller_.unwatch(listener_.fd.get());
    clients_.clear();
    if (!path_.empty()) ::unlink(path_.c_str());
}

void StreamServer::on_ready(Readiness) {
    UniqueFd fd = accept_from(listener_);
    if (!fd.valid() || clients_.size() == kMostClients) return;
    auto connection = std::make_unique<SocketConnection>(
        poller_, std::move(fd), static_cast<SocketConnectionOwner&>(*this));
    if (!connection->start()) return;
    SocketConnection& raw = *connection;
    clients_.push_back({std::move(connection), nullptr});
    clients_.back().session = serve_(raw);
}

void StreamServer::on_received(SocketConnection& from, std::string_view bytes) {
    for (const Client& client : clients_) {
        if (client.connection.get() == &from) return client.session->received(bytes);
    }
}

void StreamServer::on_gone(SocketConnection& connection) {
    clients_.remove_if(
        [&](const Client& client) { return client.connection.get() == &connection; });
}

}  // namespace banyan
