#include "backends/switch/switch_port.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <utility>

#include "host/posix/host_error.hpp"
#include "network/packets/frame_bytes.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

constexpr std::string_view kTooMany = "raise the limit of open files (ulimit -n)";
constexpr int kFirstAnswerMs = 2000;
constexpr unsigned kFirstRetryMs = 50;
constexpr unsigned kLastRetryMs = 2000;
constexpr size_t kBatch = 64;
constexpr int kBatchesAtOnce = 8;  // then others of the poller have their turn

void set_timer(int fd, unsigned ms) {
    itimerspec when{};
    when.it_value.tv_sec = ms / 1000;
    when.it_value.tv_nsec = static_cast<long>(ms % 1000) * 1'000'000;
    ::timerfd_settime(fd, 0, &when, nullptr);
}

void clear_counter(int fd) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(fd, &count, sizeof(count));
}

}  // namespace

Result<std::unique_ptr<SwitchPort>> SwitchPort::create(Poller& poller, Config config) {
    auto port = std::unique_ptr<SwitchPort>(new SwitchPort(poller, std::move(config)));
    TRY(port->open_handles());
    auto socket = ask_switch(port->config_.socket, port->config_.hello);
    if (!socket) {
        if (socket.error().code() != ErrorCode::not_found)
            return tl::unexpected<Error>(socket.error());
        port->arm_retry();
        return port;
    }
    port->socket_ = std::move(*socket);
    TRY(port->watch(port->socket_.get(), Source::socket));
    pollfd answer{port->socket_.get(), POLLIN, 0};
    if (::poll(&answer, 1, kFirstAnswerMs) > 0) TRY(port->take_answer());
    return port;
}

Result<void> SwitchPort::open_handles() {
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    retry_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    room_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!epoll_.valid() || !retry_.valid() || !room_.valid())
        return host_fail(errno, "make a port of a network", kTooMany);
    TRY(watch(retry_.get(), Source::retry));
    return watch(room_.get(), Source::room);
}

SwitchPort::~SwitchPort() {
    stop();
}

// Handles that are closed leave the set by themselves.
Result<void> SwitchPort::watch(int handle, Source source) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<uint32_t>(source);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, handle, &event) == 0) return {};
    return host_fail(errno, "watch a port of a network", kTooMany);
}

Result<void> SwitchPort::start(NetClient& client) {
    client_ = &client;
    auto watched = poller_.watch(epoll_.get(), {.readable = true}, *this);
    if (!watched) client_ = nullptr;
    return watched;
}

void SwitchPort::stop() {
    if (client_ == nullptr) return;
    poller_.unwatch(epoll_.get());
    client_ = nullptr;
}

NetOffloads SwitchPort::offloads() const {
    return {.checksum = true, .tcp4 = true, .tcp6 = true, .ecn = true, .udp = true};
}

void SwitchPort::set_client_offloads(const NetOffloads& offloads) {
    const std::lock_guard lock(mutex_);
    client_offloads_ = offloads;
}

SwitchPortCounts SwitchPort::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

size_t SwitchPort::send(std::span<const NetFrame> frames) {
    const std::lock_guard lock(mutex_);
    if (channel_ == nullptr) {
        counts_.dropped_link_down += frames.size();
        return frames.size();
    }
    RingProducer& out = channel_->out();
    size_t taken = 0;
    while (taken < frames.size()) {
        const auto status = out.push(frames[taken]);
        if (status == RingProducer::Status::ok) {
            ++taken;
        } else if (status == RingProducer::Status::broken) {
            channel_->wake_self();  // whose reading finds it broken, too
            return frames.size();
        } else {
            if (out.publish()) channel_->wake_other();
            if (out.wait_for_room()) continue;
            send_blocked_ = true;
            return taken;
        }
    }
    if (out.publish()) channel_->wake_other();
    return taken;
}

void SwitchPort::receive_room_available() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(room_.get(), &one, sizeof(one));
}

void SwitchPort::on_ready(Readiness) {
    std::array<epoll_event, 4> events{};
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i)
        handle(static_cast<Source>(events[static_cast<size_t>(i)].data.u32));
}

void SwitchPort::handle(Source source) {
    switch (source) {
        case Source::socket: return on_socket();
        case Source::retry: clear_counter(retry_.get()); return try_to_join();
        case Source::room: clear_counter(room_.get()); return receive();
        case Source::wake:
            if (channel_ == nullptr) return;
            channel_->clear_wake();
            tell_send_room();
            return receive();
    }
}

void SwitchPort::tell_send_room() {
    {
        const std::lock_guard lock(mutex_);
        if (!std::exchange(send_blocked_, false)) return;
    }
    client_->on_send_room();
}

void SwitchPort::try_to_join() {
    if (socket_.valid()) return;
    auto socket = ask_switch(config_.socket, config_.hello);
    if (!socket || !watch(socket->get(), Source::socket)) return arm_retry();
    socket_ = std::move(*socket);
}

// After the welcome nothing comes but the end.
void SwitchPort::on_socket() {
    if (channel_ != nullptr) return lose();
    const auto answered = take_answer();
    if (answered) return;
    if (answered.error().code() == ErrorCode::busy && last_refusal_ != answered.error().text()) {
        last_refusal_ = answered.error().text();
        LOG_WARNING("network", "%s", last_refusal_.c_str());
    }
    socket_.reset();
    arm_retry();
}

Result<void> SwitchPort::take_answer() {
    TRY_ASSIGN(channel, take_welcome(socket_.get()));
    if (channel == nullptr) return {};
    TRY(watch(channel->wake_handle(), Source::wake));
    join(std::move(channel));
    return {};
}

void SwitchPort::join(std::unique_ptr<PortChannel> channel) {
    retry_ms_ = 0;
    last_refusal_.clear();
    channel->wake_self();  // its first look into the ring
    {
        const std::lock_guard lock(mutex_);
        channel_ = std::move(channel);
        ++counts_.joined;
    }
    link_up_.store(true, std::memory_order_relaxed);
    if (client_ != nullptr) client_->on_link_changed(true);
}

void SwitchPort::lose() {
    {
        const std::lock_guard lock(mutex_);
        channel_.reset();
    }
    socket_.reset();
    link_up_.store(false, std::memory_order_relaxed);
    arm_retry();
    client_->on_link_changed(false);
    tell_send_room();  // what waited is dropped now
}

void SwitchPort::arm_retry() {
    retry_ms_ = retry_ms_ == 0 ? kFirstRetryMs : std::min(2 * retry_ms_, kLastRetryMs);
    set_timer(retry_.get(), retry_ms_);
}

void SwitchPort::receive() {
    if (channel_ == nullptr) return;
    NetOffloads taken;
    {
        const std::lock_guard lock(mutex_);
        taken = client_offloads_;
    }
    for (int i = 0; i < kBatchesAtOnce; ++i) {
        switch (receive_some(taken)) {
            case Progress::some: continue;
            case Progress::starved: return;  // until receive_room_available()
            case Progress::broken:
                LOG_LIMITED(LogLevel::warning, "network",
                            "the switch of the network broke its protocol");
                return lose();
            case Progress::none_left:
                if (channel_->in().sleep()) return;
        }
    }
    channel_->wake_self();
}

// One batch: up to a frame that must be finished first.
SwitchPort::Progress SwitchPort::receive_some(const NetOffloads& taken) {
    if (!deliver_finished()) return Progress::starved;
    RingConsumer& in = channel_->in();
    std::array<RingFrame, kBatch> found;
    std::array<NetFrame, kBatch> frames;
    size_t count = 0;
    auto status = RingConsumer::Status::ok;
    while (count < kBatch) {
        RingFrame& frame = found[count];
        status = in.next(frame);
        if (status != RingConsumer::Status::ok) break;
        if (!FrameFinisher::takes(taken, frame.info)) {
            if (count != 0) break;
            finish(frame, taken);
            if (in.release(frame.end)) channel_->wake_other();
            return Progress::some;
        }
        frames[count] = frame.get();
        ++count;
    }
    if (count == 0)
        return status == RingConsumer::Status::broken ? Progress::broken : Progress::none_left;
    const size_t accepted = client_->on_frames(std::span(frames).first(count));
    if (accepted != 0 && in.release(found[accepted - 1].end)) channel_->wake_other();
    in.rewind();
    return accepted == count ? Progress::some : Progress::starved;
}

// False: some are left.
bool SwitchPort::deliver_finished() {
    while (finished_taken_ < finished_ends_.size()) {
        std::array<NetFrame, kBatch> frames;
        std::array<std::span<const std::byte>, kBatch> parts;
        size_t count = 0;
        for (; count < kBatch && finished_taken_ + count < finished_ends_.size(); ++count) {
            const size_t i = finished_taken_ + count;
            const size_t start = i == 0 ? 0 : finished_ends_[i - 1];
            parts[count] =
                std::span<const std::byte>(finished_).subspan(start, finished_ends_[i] - start);
            frames[count] = {
                std::span(&parts[count], 1), parts[count].size(), {.checksum_valid = true}};
        }
        const size_t accepted = client_->on_frames(std::span(frames).first(count));
        finished_taken_ += accepted;
        if (accepted != count) return false;
    }
    return true;
}

void SwitchPort::finish(const RingFrame& frame, const NetOffloads& taken) {
    finished_.clear();
    finished_ends_.clear();
    finished_taken_ = 0;
    const bool ok = finisher_.finish(frame.get(), taken, [this](const NetFrame& one) {
        for (const auto part : one.parts)
            finished_.insert(finished_.end(), part.begin(), part.end());
        finished_ends_.push_back(finished_.size());
    });
    if (ok) return;
    const std::lock_guard lock(mutex_);
    ++counts_.dropped_malformed;
}

}  // namespace banyan
