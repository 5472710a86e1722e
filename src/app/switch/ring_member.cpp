#include "app/switch/ring_member.hpp"

#include <sys/socket.h>

#include "host/posix/host_error.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

constexpr size_t kFramesAtOnce = 64;  // then the others have their turn

SwitchPortConfig config_of(const SwitchCore& core, const PortHello& hello) {
    SwitchPortConfig config = core.port_config(hello.name, hello.mac);
    if (hello.isolated) config.isolated = true;
    const uint64_t own = hello.bytes_per_second;
    if (own != 0 && (config.bytes_per_second == 0 || own < config.bytes_per_second))
        config.bytes_per_second = own;
    if (hello.vlan != 0 && !core.definition().members.contains(hello.name))
        config.vlan = hello.vlan;
    return config;
}

}  // namespace

Result<std::unique_ptr<RingMember>> RingMember::create(SwitchCore& core, Poller& poller,
                                                       UniqueFd& socket, const PortHello& hello,
                                                       Gone gone) {
    TRY_ASSIGN(handles, PortChannel::make_handles(kRingSize));
    TRY_ASSIGN(channel,
               PortChannel::open(std::move(handles), kRingSize, PortChannel::Side::of_switch));
    auto member = std::unique_ptr<RingMember>(
        new RingMember(core, poller, hello.name, std::move(channel), std::move(gone)));
    TRY(member->connect(socket, config_of(core, hello)));
    return member;
}

RingMember::RingMember(SwitchCore& core, Poller& poller, std::string name,
                       std::unique_ptr<PortChannel> channel, Gone gone)
    : SwitchMember(Kind::vm, std::move(name)),
      core_(core),
      poller_(poller),
      channel_(std::move(channel)),
      gone_(std::move(gone)) {}

// The socket stays the caller's if this fails: it says so to the member.
Result<void> RingMember::connect(UniqueFd& socket, const SwitchPortConfig& config) {
    TRY(core_.add(*this, config));
    TRY(poller_.watch(channel_->wake_handle(), {.readable = true}, wake_watch_));
    watched_ = true;
    TRY(send_with_handles(socket.get(), encode(PortWelcome{.ring_size = kRingSize}),
                          &channel_->handles()));
    TRY(poller_.watch(socket.get(), {.readable = true}, socket_watch_));
    socket_ = std::move(socket);
    channel_->wake_self();  // the first look into the ring
    return {};
}

RingMember::~RingMember() {
    if (socket_.valid()) poller_.unwatch(socket_.get());
    if (watched_) poller_.unwatch(channel_->wake_handle());
    core_.remove(*this);
}

bool RingMember::deliver(const NetFrame& frame) {
    const auto status = channel_->out().push(frame);
    core_.touched(*this);
    if (status == RingProducer::Status::broken) give_up();
    return status == RingProducer::Status::ok;
}

void RingMember::flush() {
    if (channel_->out().publish()) channel_->wake_other();
}

void RingMember::on_wake() {
    if (gone_told_) return;
    channel_->clear_wake();
    core_.begin();
    RingConsumer& in = channel_->in();
    RingFrame frame;
    size_t count = 0;
    auto status = RingConsumer::Status::ok;
    for (; count < kFramesAtOnce; ++count) {
        status = in.next(frame);
        if (status != RingConsumer::Status::ok) break;
        core_.forward(*this, frame.get());
    }
    if (count != 0 && in.release(frame.end)) channel_->wake_other();
    core_.settle();
    if (status == RingConsumer::Status::broken) return give_up();
    if (status == RingConsumer::Status::ok || !in.sleep()) channel_->wake_self();
}

// After the hello a member says nothing more: it has gone.
void RingMember::on_socket() {
    std::array<std::byte, 16> ignored;
    const ssize_t count = ::recv(socket_.get(), ignored.data(), ignored.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count > 0) LOG_INFO("network", "%s spoke out of turn", name().c_str());
    give_up();
}

void RingMember::give_up() {
    if (std::exchange(gone_told_, true)) return;
    gone_(*this);
}

}  // namespace banyan
