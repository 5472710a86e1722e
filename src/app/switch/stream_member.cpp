#include "app/switch/stream_member.hpp"

#include <sys/socket.h>

#include "host/posix/host_error.hpp"
#include "support/log.hpp"
#include "support/object_bytes.hpp"

namespace banyan {

Result<std::unique_ptr<StreamMember>> StreamMember::create(SwitchCore& core, Poller& poller,
                                                           UniqueFd socket, std::string name,
                                                           Gone gone) {
    auto member = std::unique_ptr<StreamMember>(
        new StreamMember(core, poller, std::move(socket), std::move(name), std::move(gone)));
    TRY(poller.watch(member->socket_.get(), {.readable = true}, *member));
    return member;
}

StreamMember::StreamMember(SwitchCore& core, Poller& poller, UniqueFd socket, std::string name,
                           Gone gone)
    : SwitchMember(Kind::stream, std::move(name)),
      core_(core),
      poller_(poller),
      socket_(std::move(socket)),
      gone_(std::move(gone)) {}

StreamMember::~StreamMember() {
    poller_.unwatch(socket_.get());
    core_.remove(*this);
}

void StreamMember::on_ready(Readiness ready) {
    if (gone_told_) return;
    if (ready.writable) flush();
    if (ready.readable) receive();
}

void StreamMember::receive() {
    const auto room = unframer_.room();
    const ssize_t count = retry_interrupted(
        [&] { return ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT); });
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return give_up();
    core_.begin();
    const bool sound =
        unframer_.received(static_cast<size_t>(count), [this](auto frame) { take(frame); });
    core_.settle();
    if (!sound) give_up();
}

void StreamMember::take(std::span<const std::byte> frame) {
    if (gone_told_ || (!port() && !join(frame))) return;
    core_.forward(*this, {std::span(&frame, 1), frame.size(), {}});
}

bool StreamMember::join(std::span<const std::byte> first_frame) {
    const auto ethernet = header_at<EthernetHeader>(first_frame, 0);
    if (!ethernet || ethernet->source.is_multicast() || ethernet->source.is_zero()) return false;
    const auto added = core_.add(*this, core_.port_config(name(), ethernet->source));
    if (added) return true;
    LOG_LIMITED(LogLevel::warning, "network", "%s: %s", name().c_str(),
                std::string(added.error().text()).c_str());
    give_up();
    return false;
}

bool StreamMember::deliver(const NetFrame& frame) {
    if (waiting_.size() - written_ > kMostWaiting) return false;
    core_.touched(*this);
    finisher_.finish(frame, {}, [this](const NetFrame& one) { append(one); });
    return true;
}

void StreamMember::append(const NetFrame& frame) {
    append_object(waiting_, StreamLength(static_cast<uint32_t>(frame.size)));
    for (const auto part : frame.parts)
        waiting_.insert(waiting_.end(), part.begin(), part.end());
}

void StreamMember::flush() {
    while (written_ < waiting_.size()) {
        const ssize_t count = retry_interrupted([&] {
            return ::send(socket_.get(), waiting_.data() + written_, waiting_.size() - written_,
                          MSG_DONTWAIT | MSG_NOSIGNAL);
        });
        if (count <= 0) break;  // an end also shows at the next read
        written_ += static_cast<size_t>(count);
    }
    const bool all = written_ == waiting_.size();
    if (all || written_ > kMostWaiting / 2) {
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(written_));
        written_ = 0;
    }
    if (wants_writable_ == !all) return;
    wants_writable_ = !all;
    poller_.set_interest(socket_.get(), {.readable = true, .writable = wants_writable_});
}

void StreamMember::give_up() {
    if (std::exchange(gone_told_, true)) return;
    gone_(*this);
}

}  // namespace banyan
