#include "app/switch/switch_server.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "app/switch/ring_member.hpp"
#include "app/switch/stream_member.hpp"
#include "app/switch/uplink_member.hpp"
#include "backends/net/nat.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

constexpr int kSwitchBacklog = 128;
constexpr size_t kMostSessions = 64;
constexpr size_t kMostMembers = 2 * LearningSwitch::kMostPorts;  // with those that are silent
constexpr auto kSilentSession = std::chrono::seconds(10);
constexpr auto kTickPeriod = std::chrono::seconds(1);
constexpr size_t kReportMessage = 32 * 1024;

// Others who may use the machine may not use the socket.
Result<UniqueFd> listen_at(const std::string& path, int type) {
    const UnixAddress address(path);
    if (!address.valid())
        return fail(ErrorCode::invalid_argument, "listen at " + quote_name(path) +
                                                     ": it is too long; use a shorter "
                                                     "XDG_RUNTIME_DIR");
    ::unlink(path.c_str());  // of an earlier life: who calls holds the lock
    UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.valid()) ::fchmod(fd.get(), 0600);
    if (!fd.valid() || ::bind(fd.get(), address.get(), address.size()) != 0 ||
        ::listen(fd.get(), kSwitchBacklog) != 0)
        return host_fail(errno, "listen at " + quote_name(path), "free what uses it");
    return fd;
}

// Nothing: it is not this user's.
std::optional<pid_t> own_peer(int socket) {
    ucred peer{};
    socklen_t size = sizeof(peer);
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return {};
    if (peer.uid != ::geteuid() && peer.uid != 0) return {};
    return peer.pid;
}

}  // namespace

class SwitchServer::Listener final : public PollClient {
public:
    using Accept = std::function<void(UniqueFd)>;

    static Result<std::unique_ptr<Listener>> create(Poller& poller, const std::string& path,
                                                    int type, Accept accept) {
        TRY_ASSIGN(fd, listen_at(path, type));
        auto listener =
            std::unique_ptr<Listener>(new Listener(poller, path, std::move(fd), std::move(accept)));
        TRY(poller.watch(listener->fd_.get(), {.readable = true}, *listener));
        return listener;
    }
    ~Listener() {
        poller_.unwatch(fd_.get());
        ::unlink(path_.c_str());
    }

private:
    Listener(Poller& poller, std::string path, UniqueFd fd, Accept accept)
        : poller_(poller), path_(std::move(path)), fd_(std::move(fd)), accept_(std::move(accept)) {}
    void on_ready(Readiness) override {
        UniqueFd socket(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (socket.valid() && own_peer(socket.get())) accept_(std::move(socket));
    }

    Poller& poller_;
    const std::string path_;
    UniqueFd fd_;
    Accept accept_;
};

// Somebody who has connected, and has not said yet what for.
class SwitchServer::Session final : public PollClient {
public:
    Session(SwitchServer& server, UniqueFd fd)
        : socket(std::move(fd)), since(std::chrono::steady_clock::now()), server_(server) {}
    ~Session() { unwatch(); }

    Result<void> watch() {
        TRY(server_.poller_.watch(socket.get(), {.readable = true}, *this));
        watched_ = true;
        return {};
    }
    void unwatch() {
        if (std::exchange(watched_, false)) server_.poller_.unwatch(socket.get());
    }

    UniqueFd socket;
    const std::chrono::steady_clock::time_point since;
    std::string report;  // what is asked for
    size_t sent = 0;     // of it

private:
    void on_ready(Readiness) override {
        if (report.empty()) return server_.serve(*this);
        server_.send_report(*this);
    }

    SwitchServer& server_;
    bool watched_ = false;
};

Result<std::unique_ptr<SwitchServer>> SwitchServer::create(Poller& poller,
                                                           NetworkDefinition definition,
                                                           RunDirectory directory,
                                                           std::function<void()> ended) {
    auto server = std::unique_ptr<SwitchServer>(
        new SwitchServer(poller, std::move(definition), std::move(directory), std::move(ended)));
    TRY(server->open());
    return server;
}

SwitchServer::SwitchServer(Poller& poller, NetworkDefinition definition, RunDirectory directory,
                           std::function<void()> ended)
    : poller_(poller),
      directory_(std::move(directory)),
      paths_(network_paths(directory_, definition.name)),
      leases_file_(fmt::format("network-{}.leases", definition.name)),
      ended_(std::move(ended)),
      started_(std::chrono::steady_clock::now()),
      core_(std::move(definition)),
      captures_(core_, poller) {}

Result<void> SwitchServer::open() {
    if (const auto leases = directory_.read(leases_file_)) restore_leases(core_, *leases);
    TRY_ASSIGN(reaper, Notifier::create(poller_, [this] { reap(); }));
    reaper_ = std::move(reaper);
    TRY_ASSIGN(ticker, Ticker::create(poller_, kTickPeriod, [this] { tick(); }));
    ticker_ = std::move(ticker);
    if (core_.definition().nat) TRY(open_uplink());
    TRY_ASSIGN(stream, Listener::create(poller_, paths_.stream, SOCK_STREAM,
                                        [this](UniqueFd fd) { accept_stream(std::move(fd)); }));
    stream_listener_ = std::move(stream);
    TRY_ASSIGN(port, Listener::create(poller_, paths_.port, SOCK_SEQPACKET,
                                      [this](UniqueFd fd) { accept_port(std::move(fd)); }));
    port_listener_ = std::move(port);
    return {};
}

Result<void> SwitchServer::open_uplink() {
    const Ipv4Subnet& subnet = core_.definition().subnet;
    TRY_ASSIGN(nat, Nat::create({.network = subnet.network.value, .network_mask = subnet.mask()}));
    TRY_ASSIGN(uplink, UplinkMember::create(core_, poller_, std::move(nat)));
    members_.push_back(std::move(uplink));
    return {};
}

// The sockets' names go first: who sees a connection end finds nobody there.
SwitchServer::~SwitchServer() {
    port_listener_.reset();
    stream_listener_.reset();
    members_.clear();
}

void SwitchServer::accept_port(UniqueFd socket) {
    if (sessions_.size() == kMostSessions) return;
    sessions_.push_back(std::make_unique<Session>(*this, std::move(socket)));
    if (!sessions_.back()->watch()) sessions_.pop_back();
}

void SwitchServer::accept_stream(UniqueFd socket) {
    if (members_.size() >= kMostMembers) return;
    auto member = StreamMember::create(core_, poller_, std::move(socket),
                                       fmt::format("stream-{}", ++streams_),
                                       [this](SwitchMember& gone) { remove_later(gone); });
    if (member) members_.push_back(std::move(*member));
}

void SwitchServer::serve(Session& session) {
    std::array<std::byte, kHelloSize + 1> bytes;
    const auto received = receive_with_handles(session.socket.get(), bytes);
    if (received && received->again) return;
    const size_t size = received ? received->size : 0;
    const auto hello = decode_hello(std::span<const std::byte>(bytes).first(size));
    if (!hello) {
        const WelcomeBytes refusal =
            encode(PortWelcome{.refusal = std::string(hello.error().text())});
        if (size != 0) (void)send_with_handles(session.socket.get(), refusal, nullptr);
    } else if (hello->request == PortRequest::join) {
        session.unwatch();  // a member watches it from now on
        join(session, *hello);
    } else if (hello->request == PortRequest::report) {
        session.report = report();
        return send_report(session);
    } else if (hello->request == PortRequest::capture) {
        capture(session, *hello);
    } else {
        session.unwatch();
        return ended_();  // the socket ends with the process
    }
    close(session);
}

void SwitchServer::join(Session& session, const PortHello& hello) {
    auto member = RingMember::create(core_, poller_, session.socket, hello,
                                     [this](SwitchMember& gone) { remove_later(gone); });
    if (member) {
        LOG_INFO("network", "%s joins", hello.name.c_str());
        members_.push_back(std::move(*member));
        return;
    }
    const WelcomeBytes refusal = encode(PortWelcome{.refusal = std::string(member.error().text())});
    (void)send_with_handles(session.socket.get(), refusal, nullptr);
}

void SwitchServer::capture(const Session& session, const PortHello& hello) {
    const auto peer = own_peer(session.socket.get());
    if (!peer) return;
    const auto added = captures_.add(hello.name, capture_socket(directory_, *peer));
    if (added) return;
    const WelcomeBytes refusal = encode(PortWelcome{.refusal = std::string(added.error().text())});
    (void)send_with_handles(session.socket.get(), refusal, nullptr);
}

std::string SwitchServer::report() const {
    std::vector<const SwitchMember*> all;
    for (const auto& member : members_)
        all.push_back(member.get());
    const std::chrono::duration<double> up = std::chrono::steady_clock::now() - started_;
    return switch_report(core_, all, {.stream_socket = paths_.stream, .seconds = up.count()});
}

// In messages that the socket takes, as it takes them.
void SwitchServer::send_report(Session& session) {
    while (session.sent < session.report.size()) {
        const size_t count = std::min(kReportMessage, session.report.size() - session.sent);
        const ssize_t sent = retry_interrupted([&] {
            return ::send(session.socket.get(), session.report.data() + session.sent, count,
                          MSG_NOSIGNAL);
        });
        if (sent < 0 && errno == EAGAIN)
            return poller_.set_interest(session.socket.get(), {.writable = true});
        if (sent <= 0) break;
        session.sent += static_cast<size_t>(sent);
    }
    close(session);
}

void SwitchServer::close(Session& session) {
    const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                    [&](const auto& one) { return one.get() == &session; });
    closed_.splice(closed_.end(), sessions_, found);
    session.unwatch();
    session.socket.reset();
    reaper_->notify();
}

void SwitchServer::remove_later(SwitchMember& member) {
    gone_.push_back(&member);
    reaper_->notify();
}

void SwitchServer::reap() {
    closed_.clear();
    for (const SwitchMember* gone : gone_) {
        LOG_INFO("network", "%s leaves", gone->name().c_str());
        std::erase_if(members_, [&](const auto& one) { return one.get() == gone; });
    }
    gone_.clear();
}

void SwitchServer::tick() {
    core_.tick();
    captures_.forget_gone();
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(sessions_, [&](const auto& one) { return now - one->since > kSilentSession; });
    if (!core_.take_leases_changed()) return;
    const auto written = directory_.write(leases_file_, leases_json(core_.services()));
    if (!written)
        LOG_LIMITED(LogLevel::warning, "network", "%s",
                    std::string(written.error().text()).c_str());
}

}  // namespace banyan
