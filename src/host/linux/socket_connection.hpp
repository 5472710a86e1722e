// SocketConnection: one client of a server: bytes come and go without anybody waiting.
#pragma once

#include <string>
#include <string_view>

#include "host/posix/unique_fd.hpp"
#include "vm/poller.hpp"

namespace banyan {

class SocketConnection;

class SocketConnectionOwner {
public:
    virtual void on_received(SocketConnection& from, std::string_view bytes) = 0;
    // The client has gone, or was let go. The connection may be destroyed from within.
    virtual void on_gone(SocketConnection& connection) = 0;

protected:
    ~SocketConnectionOwner() = default;
};

// All on the poller's thread.
class SocketConnection final : private PollClient {
public:
    static constexpr size_t kMostKept = 1 << 20;

    // `fd` does not wait.
    SocketConnection(Poller& poller, UniqueFd fd, SocketConnectionOwner& owner)
        : poller_(poller), fd_(std::move(fd)), owner_(owner) {}
    ~SocketConnection();
    SocketConnection(const SocketConnection&) = delete;
    SocketConnection& operator=(const SocketConnection&) = delete;

    // Bytes come from now on.
    Result<void> start();
    // What the client does not take at once is kept, and one that lets more than kMostKept of it
    // gather is let go.
    void send(std::string_view bytes);
    // While false, what the client says waits.
    void set_reading(bool wanted);
    // Lets the client go once it has what was sent so far; on_gone() comes.
    void end();

private:
    void on_ready(Readiness ready) override;
    void receive();
    void write_kept();
    void update_interest();

    Poller& poller_;
    UniqueFd fd_;
    SocketConnectionOwner& owner_;
    std::string kept_;
    bool reading_ = true;
    bool ending_ = false;
};

}  // namespace banyan
