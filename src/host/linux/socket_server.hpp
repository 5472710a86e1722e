// SocketServer: listens for streams, and serves one client at a time: others are turned away.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "host/linux/socket_address.hpp"
#include "host/posix/unique_fd.hpp"
#include "vm/poller.hpp"

namespace banyan {

// All on the poller's thread.
class SocketServer final : private PollClient {
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
    const std::string& place() const { return place_; }

    // To the client, if there is one. Does not wait: what it does not take at once is kept, and a
    // client that lets more than kMostKept of it gather is let go.
    void send(std::string_view bytes);
    static constexpr size_t kMostKept = 1 << 20;

private:
    // One of the two handles that are watched.
    class Client final : public PollClient {
    public:
        explicit Client(SocketServer& server) : server_(server) {}
        void on_ready(Readiness ready) override { server_.serve(ready); }

    private:
        SocketServer& server_;
    };

    SocketServer(Poller& poller, UniqueFd listener, Events events)
        : poller_(poller), listener_(std::move(listener)), events_(std::move(events)) {}
    void on_ready(Readiness ready) override;
    void serve(Readiness ready);
    void receive();
    void write_kept();
    void let_go();

    Poller& poller_;
    UniqueFd listener_;
    Events events_;
    std::string place_;
    std::string path_;  // of a Unix socket: to be removed

    Client client_watch_{*this};
    UniqueFd client_;
    std::string kept_;
};

}  // namespace banyan
