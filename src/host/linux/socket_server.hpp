// SocketServer: listens for streams, and serves one client at a time: others are turned away.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "host/linux/socket_connection.hpp"
#include "host/linux/socket_listener.hpp"

namespace banyan {

// All on the poller's thread.
class SocketServer final : private PollClient, private SocketConnectionOwner {
public:
    struct Events {
        std::function<void()> connected;
        std::function<void(std::string_view bytes)> received;
        std::function<void()> disconnected;  // by the client
    };
    static Result<std::unique_ptr<SocketServer>> listen(Poller& poller,
                                                        const SocketAddress& address,
                                                        Events events);
    ~SocketServer();
    SocketServer(const SocketServer&) = delete;
    SocketServer& operator=(const SocketServer&) = delete;

    // Where a client finds it: "127.0.0.1:1234" or a path.
    const std::string& place() const { return listener_.place; }

    // To the client, if there is one. Does not wait: what it does not take at once is kept, and a
    // client that lets more than kMostKept of it gather is let go.
    void send(std::string_view bytes);
    static constexpr size_t kMostKept = SocketConnection::kMostKept;

private:
    SocketServer(Poller& poller, SocketListener listener, Events events)
        : poller_(poller), listener_(std::move(listener)), events_(std::move(events)) {}
    void on_ready(Readiness ready) override;
    void on_received(SocketConnection& from, std::string_view bytes) override;
    void on_gone(SocketConnection& connection) override;

    Poller& poller_;
    SocketListener listener_;
    Events events_;
    std::string path_;  // of a Unix socket: to be removed
    std::unique_ptr<SocketConnection> client_;
};

}  // namespace banyan
