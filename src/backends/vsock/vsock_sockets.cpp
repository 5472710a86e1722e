#include "backends/vsock/vsock_sockets.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utility>

#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"
#include "host/posix/unix_connector.hpp"

namespace banyan {

namespace {

constexpr int kVsockBacklog = 32;

// A device's hold on a socket.
class SocketHandle final : public VsockStream {
public:
    SocketHandle(std::shared_ptr<VsockSocket> socket,
                 std::function<void(std::shared_ptr<VsockSocket>)> retire)
        : socket_(std::move(socket)), retire_(std::move(retire)) {}
    ~SocketHandle() override { retire_(std::move(socket_)); }
    SocketHandle(const SocketHandle&) = delete;
    SocketHandle& operator=(const SocketHandle&) = delete;

    Moved read(std::span<std::byte> to) override { return socket_->read(to); }
    Moved write(std::span<const std::byte> from) override { return socket_->write(from); }
    void end_writing() override { socket_->end_writing(); }
    void accepted(uint32_t host_port) override { socket_->accepted(host_port); }
    void watch(uint32_t cookie, Readiness interest) override { socket_->watch(cookie, interest); }

private:
    std::shared_ptr<VsockSocket> socket_;
    std::function<void(std::shared_ptr<VsockSocket>)> retire_;
};

UniqueFd make_socket() {
    return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

Result<std::unique_ptr<VsockSockets>> VsockSockets::create(Poller& poller,
                                                           const std::string& path) {
    const UnixAddress address(path);
    if (!address.valid()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("listen at {}: a socket's path has 1 to {} characters; give a "
                                "shorter one",
                                path, UnixAddress::kLongestPath));
    }
    UniqueFd fd = make_socket();
    // The mode counts before anybody can connect.
    if (fd.valid()) ::fchmod(fd.get(), 0600);
    if (!fd.valid() || ::bind(fd.get(), address.get(), address.size()) != 0) {
        return host_fail(errno, fmt::format("listen at {}", path),
                         "remove what is there, or give another path");
    }
    auto sockets = std::unique_ptr<VsockSockets>(new VsockSockets(poller, std::move(fd), path));
    if (::listen(sockets->listener_.get(), kVsockBacklog) != 0)
        return host_fail(errno, fmt::format("listen at {}", path), "give another path");
    TRY_ASSIGN(burial, Notifier::create(poller, [raw = sockets.get()] { raw->bury(); }));
    sockets->burial_ = std::move(burial);
    TRY(poller.watch(sockets->listener_.get(), {.readable = true}, *sockets));
    return sockets;
}

VsockSockets::~VsockSockets() {
    poller_.unwatch(listener_.get());
    for (const auto& socket : greeting_)
        socket->unwatch();
    burial_.reset();
    bury();
    ::unlink(path_.c_str());
}

Result<std::shared_ptr<VsockSocket>> VsockSockets::add(UniqueFd fd, VsockSocket::Stage stage) {
    auto socket = std::make_shared<VsockSocket>(*this, poller_, std::move(fd), stage);
    TRY(socket->watch_first());
    return socket;
}

// A socket whose listener has no room refuses as if nobody were there.
std::unique_ptr<VsockStream> VsockSockets::connect(uint32_t host_port) {
    UniqueFd fd = connect_unix(fmt::format("{}_{}", path_, host_port), SOCK_STREAM | SOCK_NONBLOCK);
    if (!fd.valid()) return nullptr;
    auto socket = add(std::move(fd), VsockSocket::Stage::stream);
    if (!socket) return nullptr;
    return std::make_unique<SocketHandle>(
        *socket, [this](std::shared_ptr<VsockSocket> gone) { retire(std::move(gone)); });
}

void VsockSockets::on_ready(Readiness) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid() || greeting_.size() == kMaxGreetings) return;
    auto socket = add(std::move(fd), VsockSocket::Stage::greeting);
    if (socket) greeting_.push_back(*socket);
}

void VsockSockets::greeted(const std::shared_ptr<VsockSocket>& socket, uint32_t guest_port) {
    std::erase(greeting_, socket);
    auto handle = std::make_unique<SocketHandle>(
        socket, [this](std::shared_ptr<VsockSocket> gone) { retire(std::move(gone)); });
    if (client_ != nullptr) client_->on_connect(guest_port, std::move(handle));
}

void VsockSockets::give_up(const VsockSocket* socket) {
    const auto found = std::find_if(greeting_.begin(), greeting_.end(),
                                    [socket](const auto& each) { return each.get() == socket; });
    if (found == greeting_.end()) return;
    retire(*found);
    greeting_.erase(found);
}

void VsockSockets::tell_ready(uint32_t cookie, Readiness ready) {
    if (client_ != nullptr) client_->on_stream_ready(cookie, ready);
}

void VsockSockets::retire(std::shared_ptr<VsockSocket> socket) {
    socket->let_go();
    {
        MutexLock lock(mutex_);
        retired_.push_back(std::move(socket));
    }
    if (burial_ != nullptr) burial_->notify();
}

// A socket that retires itself within its own call is held here until that has returned.
void VsockSockets::bury() {
    std::vector<std::shared_ptr<VsockSocket>> retired;
    {
        MutexLock lock(mutex_);
        retired.swap(retired_);
    }
    for (const auto& socket : retired)
        socket->unwatch();
}

}  // namespace banyan
