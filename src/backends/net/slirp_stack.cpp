#include "backends/net/slirp_stack.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>

#include "host/posix/host_error.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

// What the guest may send: also whole TCP segments that it leaves to its card to cut.
constexpr size_t kLargestPacket = 65521;  // the most that the library takes

in_addr ip4(uint32_t address) {
    return {htonl(address)};
}

// fdba:6e79:616e::/64, unique local addresses (RFC 4193): a guest prefers IPv4 for what lies
// outside (RFC 6724), so that hosts without IPv6 do not make it wait.
in6_addr ip6(uint8_t host) {
    in6_addr address{};
    constexpr uint8_t kPrefix[] = {0xFD, 0xBA, 0x6E, 0x79, 0x61, 0x6E};
    std::copy(std::begin(kPrefix), std::end(kPrefix), address.s6_addr);
    address.s6_addr[15] = host;
    return address;
}

int64_t now_ns() {
    return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

int64_t now_ms() {
    return now_ns() / 1'000'000;
}

short poll_events(int events) {
    int wanted = 0;
    if ((events & SLIRP_POLL_IN) != 0) wanted |= POLLIN;
    if ((events & SLIRP_POLL_OUT) != 0) wanted |= POLLOUT;
    if ((events & SLIRP_POLL_PRI) != 0) wanted |= POLLPRI;
    return static_cast<short>(wanted);
}

int slirp_events(short revents) {
    int events = 0;
    if ((revents & POLLIN) != 0) events |= SLIRP_POLL_IN;
    if ((revents & POLLOUT) != 0) events |= SLIRP_POLL_OUT;
    if ((revents & POLLPRI) != 0) events |= SLIRP_POLL_PRI;
    if ((revents & POLLERR) != 0) events |= SLIRP_POLL_ERR;
    if ((revents & POLLHUP) != 0) events |= SLIRP_POLL_HUP;
    return events;
}

int add_handle(int handle, int events, void* data) {
    auto& handles = *static_cast<std::vector<pollfd>*>(data);
    handles.push_back({handle, poll_events(events), 0});
    return static_cast<int>(handles.size() - 1);
}

int events_of(int index, void* data) {
    const auto& handles = *static_cast<const std::vector<pollfd>*>(data);
    return slirp_events(handles[static_cast<size_t>(index)].revents);
}

}  // namespace

Result<std::unique_ptr<SlirpStack>> SlirpStack::create(const SlirpOptions& options, uint16_t mtu,
                                                       SlirpOutput& output) {
    const LibSlirp* const library = LibSlirp::get();
    if (library == nullptr) {
        return fail(ErrorCode::unsupported,
                    "--net nat: there is no libslirp; install the package libslirp0");
    }
    auto stack = std::unique_ptr<SlirpStack>(new SlirpStack(*library, mtu, output));
    TRY(stack->start(options));
    return stack;
}

SlirpStack::~SlirpStack() {
    if (slirp_ != nullptr) library_.destroy(slirp_);
}

const SlirpCb& SlirpStack::callbacks() {
    static const SlirpCb kCallbacks = [] {
        SlirpCb calls{};
        calls.send_packet = &send_packet;
        calls.guest_error = [](const char* text, void*) {
            LOG_LIMITED(LogLevel::debug, "net", "libslirp, of the guest: %s", text);
        };
        calls.clock_get_ns = [](void*) { return now_ns(); };
        calls.timer_new_opaque = &new_timer;
        calls.timer_free = &free_timer;
        calls.timer_mod = &modify_timer;
        calls.register_poll_fd = [](int, void*) {};
        calls.unregister_poll_fd = [](int, void*) {};
        calls.notify = [](void*) {};  // all is on one thread, which looks before it waits
        return calls;
    }();
    return kCallbacks;
}

Result<void> SlirpStack::start(const SlirpOptions& options) {
    SlirpConfig config{};
    config.version = 4;  // the first that is not tied to the thread that makes it
    config.in_enabled = true;
    config.vnetwork = ip4(options.network);
    config.vnetmask = ip4(options.network_mask);
    config.vhost = ip4(options.network + 2);
    config.vnameserver = ip4(options.network + 3);
    config.vdhcp_start = ip4(options.network + 15);
    config.in6_enabled = true;
    config.vprefix_addr6 = ip6(0);
    config.vprefix_len = 64;
    config.vhost6 = ip6(2);
    config.vnameserver6 = ip6(3);
    if (!options.host_name.empty()) config.vhostname = options.host_name.c_str();
    config.if_mtu = mtu_;
    config.if_mru = kLargestPacket;
    config.disable_host_loopback = !options.host_loopback;
    slirp_ = library_.create(&config, &callbacks(), this);
    if (slirp_ == nullptr)
        return fail(ErrorCode::unsupported,
                    "--net nat: libslirp does not start; install version 4.7 or later");
    return {};
}

Result<void> SlirpStack::publish(const PublishedPort& port) {
    // Guest address 0: the one that DHCP gives.
    if (library_.add_hostfwd(slirp_, port.udp ? 1 : 0, ip4(port.host_address), port.host_port,
                             in_addr{}, port.guest_port) == 0)
        return {};
    return host_fail(errno, "publish " + to_text(port),
                     "give another port or address of the host, or end what uses it");
}

void SlirpStack::unpublish(const PublishedPort& port) {
    library_.remove_hostfwd(slirp_, port.udp ? 1 : 0, ip4(port.host_address), port.host_port);
}

ssize_t SlirpStack::send_packet(const void* bytes, size_t size, void* self) {
    static_cast<SlirpStack*>(self)->output_.on_frame_for_guest(
        {static_cast<const std::byte*>(bytes), size});
    return static_cast<ssize_t>(size);
}

void* SlirpStack::new_timer(SlirpTimerId id, void* data, void* self) {
    auto& timers = static_cast<SlirpStack*>(self)->timers_;
    timers.push_back(std::make_unique<RunningTimer>(RunningTimer{id, data}));
    return timers.back().get();
}

void SlirpStack::free_timer(void* timer, void* self) {
    std::erase_if(static_cast<SlirpStack*>(self)->timers_,
                  [timer](const auto& one) { return one.get() == timer; });
}

void SlirpStack::modify_timer(void* timer, int64_t due_ms, void* /*self*/) {
    static_cast<RunningTimer*>(timer)->due_ms = due_ms;
}

// A timer that rings may be set again, but none is made or freed.
void SlirpStack::run_timers() {
    const int64_t now = now_ms();
    for (const auto& timer : timers_) {
        if (timer->due_ms < 0 || timer->due_ms > now) continue;
        timer->due_ms = -1;
        library_.handle_timer(slirp_, timer->id, timer->data);
    }
}

void SlirpStack::input(std::span<const std::byte> frame) {
    library_.input(slirp_, reinterpret_cast<const uint8_t*>(frame.data()),
                   static_cast<int>(frame.size()));
}

uint32_t SlirpStack::fill(std::vector<pollfd>& handles) {
    constexpr uint32_t kLongestWaitMs = 10'000;
    uint32_t wait_ms = kLongestWaitMs;
    library_.pollfds_fill(slirp_, &wait_ms, &add_handle, &handles);
    const int64_t now = now_ms();
    for (const auto& timer : timers_) {
        if (timer->due_ms < 0) continue;
        wait_ms = static_cast<uint32_t>(
            std::clamp<int64_t>(timer->due_ms - now, 0, static_cast<int64_t>(wait_ms)));
    }
    return wait_ms;
}

void SlirpStack::poll(const std::vector<pollfd>& handles, bool failed) {
    library_.pollfds_poll(slirp_, failed ? 1 : 0, &events_of,
                          const_cast<std::vector<pollfd>*>(&handles));
    run_timers();
}

}  // namespace banyan
