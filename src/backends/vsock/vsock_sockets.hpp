// VsockSockets: a guest's streams as Unix sockets on the host, in the way of Firecracker and Cloud
// Hypervisor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/vsock/vsock_socket.hpp"
#include "host/posix/notifier.hpp"
#include "host/posix/unique_fd.hpp"
#include "support/mutex.hpp"
#include "vm/poller.hpp"
#include "vm/vsock.hpp"

namespace banyan {

class VsockSockets final : public VsockBackend, private PollClient {
public:
    // Who has not said what it wants yet; others are turned away.
    static constexpr size_t kMaxGreetings = 32;

    // Listens at `path`, which must not be there yet, for this user alone. The poller outlives it.
    static Result<std::unique_ptr<VsockSockets>> create(Poller& poller, const std::string& path);
    ~VsockSockets();
    VsockSockets(const VsockSockets&) = delete;
    VsockSockets& operator=(const VsockSockets&) = delete;

    // Once, before the poller runs. The client outlives this, or disconnect() comes before its end,
    // on the poller's thread or while that does not run. Streams end before this does.
    void connect_client(VsockClient& client) { client_ = &client; }
    void disconnect() { client_ = nullptr; }

    std::unique_ptr<VsockStream> connect(uint32_t host_port) override;

private:
    friend class VsockSocket;

    VsockSockets(Poller& poller, UniqueFd listener, std::string path)
        : poller_(poller), listener_(std::move(listener)), path_(std::move(path)) {}

    void on_ready(Readiness ready) override;
    Result<std::shared_ptr<VsockSocket>> add(UniqueFd fd, VsockSocket::Stage stage);
    // Of a socket: it is not needed any more. From any thread.
    void retire(std::shared_ptr<VsockSocket> socket);
    void bury();
    // On the poller's thread.
    void greeted(const std::shared_ptr<VsockSocket>& socket, uint32_t guest_port);
    void give_up(const VsockSocket* socket);
    void tell_ready(uint32_t cookie, Readiness ready);

    // wiring
    Poller& poller_;
    UniqueFd listener_;
    std::string path_;
    VsockClient* client_ = nullptr;
    std::unique_ptr<Notifier> burial_;
    // bookkeeping of the poller's thread
    std::vector<std::shared_ptr<VsockSocket>> greeting_;
    // bookkeeping of any thread
    Mutex mutex_;  // a leaf
    std::vector<std::shared_ptr<VsockSocket>> retired_ GUARDED_BY(mutex_);
};

}  // namespace banyan
