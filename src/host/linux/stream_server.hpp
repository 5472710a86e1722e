// StreamServer: listens for streams, and serves several clients at once.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "host/linux/socket_connection.hpp"
#include "host/linux/socket_listener.hpp"

namespace banyan {

// What serves one client.
class StreamSession {
public:
    virtual ~StreamSession() = default;
    virtual void received(std::string_view bytes) = 0;
};

// All on the poller's thread.
class StreamServer final : private PollClient, private SocketConnectionOwner {
public:
    // Makes the session of a new client. It goes when the client does, and before the connection.
    using Serve = std::function<std::unique_ptr<StreamSession>(SocketConnection& client)>;
    static constexpr size_t kMostClients = 16;  // others are turned away

    static Result<std::unique_ptr<StreamServer>> listen(Poller& poller,
                                                        const SocketAddress& address, Serve serve);
    ~StreamServer();
    StreamServer(const StreamServer&) = delete;
    StreamServer& operator=(const StreamServer&) = delete;

    const std::string& place() const { return listener_.place; }

private:
    struct Client {
        std::unique_ptr<SocketConnection> connection;
        std::unique_ptr<StreamSession> session;  // goes first
    };

    StreamServer(Poller& poller, SocketListener listener, std::string path, Serve serve)
        : poller_(poller),
          listener_(std::move(listener)),
          path_(std::move(path)),
          serve_(std::move(serve)) {}
    void on_ready(Readiness ready) override;
    void on_received(SocketConnection& from, std::string_view bytes) override;
    void on_gone(SocketConnection& connection) override;

    Poller& poller_;
    SocketListener listener_;
    const std::string path_;  // of a Unix socket: to be removed
    const Serve serve_;
    std::list<Client> clients_;
};

}  // namespace banyan
