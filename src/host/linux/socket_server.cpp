#include "host/linux/socket_server.hpp"

#include <unistd.h>

namespace banyan {

Result<std::unique_ptr<SocketServer>> SocketServer::listen(Poller& poller,
                                                           const SocketAddress& address,
                                                           Events events) {
    TRY_ASSIGN(listener, listen_at(address));
    auto server = std::unique_ptr<SocketServer>(
        new SocketServer(poller, std::move(listener), std::move(events)));
    server->path_ = address.path;
    TRY(poller.watch(server->listener_.fd.get(), {.readable = true}, *server));
    return server;
}

SocketServer::~SocketServer() {
    poller_.unwatch(listener_.fd.get());
    client_.reset();
    if (!path_.empty()) ::unlink(path_.c_str());
}

void SocketServer::on_ready(Readiness) {
    UniqueFd fd = accept_from(listener_);
    if (!fd.valid() || client_ != nullptr) return;
    auto client = std::make_unique<SocketConnection>(poller_, std::move(fd),
                                                     static_cast<SocketConnectionOwner&>(*this));
    if (!client->start()) return;
    client_ = std::move(client);
    events_.connected();
}

void SocketServer::send(std::string_view bytes) {
    if (client_ != nullptr) client_->send(bytes);
}

void SocketServer::on_received(SocketConnection&, std::string_view bytes) {
    events_.received(bytes);
}

void SocketServer::on_gone(SocketConnection&) {
    client_.reset();
    events_.disconnected();
}

}  // namespace banyan
