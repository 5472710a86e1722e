#include "backends/net/nat.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <utility>

#include "backends/net/checksum.hpp"
#include "backends/net/frame_guard.hpp"
#include "backends/net/libslirp.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/threads.hpp"

namespace banyan {

namespace {

constexpr size_t kWaitingBytes = size_t{1} << 20;
// One round of the library may fill the windows (64 KiB) of many connections.
constexpr size_t kForGuestBytes = size_t{4} << 20;
constexpr size_t kMostOffered = 64;  // frames in one call

}  // namespace

Nat::Nat(SlirpOptions options, UniqueFd wake)
    : options_(std::move(options)),
      wake_(std::move(wake)),
      from_guest_(kWaitingBytes),
      for_guest_(kForGuestBytes),
      waiting_(kWaitingBytes) {}

Result<std::unique_ptr<Nat>> Nat::create(const SlirpOptions& options,
                                         std::vector<PublishedPort> published) {
    UniqueFd wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!wake.valid())
        return host_fail(errno, "create a network", "close files, or raise the limit of files");
    auto nat = std::unique_ptr<Nat>(new Nat(options, std::move(wake)));
    MutexLock lock(nat->stack_mutex_);
    nat->published_ = std::move(published);
    if (!nat->published_.empty()) TRY(nat->open_stack());
    return nat;
}

void Nat::load_library() {
    (void)LibSlirp::get();
}

Nat::~Nat() {
    stop();
}

// libslirp takes segments of any size; with IPv6 only up to its own MTU.
NetOffloads Nat::offloads() const {
    return {.checksum = true, .tcp4 = true, .tcp6 = false, .ecn = true, .udp = false};
}

void Nat::set_client_offloads(const NetOffloads& offloads) {
    checksums_known_.store(offloads.checksum, std::memory_order_relaxed);
}

void Nat::set_client_mtu(uint16_t mtu) {
    MutexLock lock(stack_mutex_);
    mtu_ = std::min(mtu, kNatMtu);
}

// The MTU belongs to the stack for good. A driver that knows another one comes with a new system,
// which has no connections yet.
Result<void> Nat::open_stack() {
    if (stack_ != nullptr && stack_->mtu() == mtu_) return {};
    stack_.reset();
    TRY_ASSIGN(stack, SlirpStack::create(options_, mtu_, *this));
    for (const PublishedPort& port : published_)
        TRY(stack->publish(port));
    stack_ = std::move(stack);
    return {};
}

Result<void> Nat::start(NetClient& client) {
    const auto opened = [&] {
        MutexLock lock(stack_mutex_);
        return open_stack();
    }();
    broken_ = !opened.has_value();
    TRY(opened);
    client_ = &client;
    stopping_.store(false);
    guest_full_ = false;
    thread_ = start_thread(ThreadKind::nat, "nat", [this] { run(); });
    return {};
}

// Frames on their way are lost, as on a wire that is pulled; the connections stay.
void Nat::stop() {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    wake();
    thread_.join();
    for_guest_.clear();
    given_ = 0;
    MutexLock lock(mutex_);
    waiting_.clear();
    sender_waits_ = false;
}

size_t Nat::send(std::span<const NetFrame> frames) {
    if (broken_) return frames.size();
    size_t taken = 0;
    {
        MutexLock lock(mutex_);
        while (taken < frames.size() && waiting_.add(frames[taken]))
            ++taken;
        sender_waits_ = taken < frames.size();
    }
    wake();
    return taken;
}

void Nat::receive_room_available() {
    room_available_.store(true);
    wake();
}

// Costs a system call only when the thread sleeps, or is about to.
void Nat::wake() {
    if (!sleeping_.exchange(false)) return;
    const uint64_t one = 1;
    (void)retry_interrupted([&] { return ::write(wake_.get(), &one, sizeof(one)); });
}

// While the guest has no room, the network is left alone: its sockets then hold back who sends.
void Nat::run() {
    while (!stopping_.load()) {
        take_from_guest();
        wait(give_to_guest());
    }
}

void Nat::take_from_guest() {
    bool tell = false;
    {
        MutexLock lock(mutex_);
        if (waiting_.empty()) return;
        std::swap(waiting_, from_guest_);
        tell = std::exchange(sender_waits_, false);
    }
    if (tell) client_->on_send_room();
    {
        MutexLock lock(stack_mutex_);
        for (const FrameBuffer::Frame& frame : from_guest_.frames())
            input(frame);
    }
    from_guest_.clear();
}

void Nat::input(const FrameBuffer::Frame& frame) {
    const bool allowed = options_.host_loopback || !is_to_this_host(frame.bytes);
    if (!allowed || (frame.info.needs_checksum && !finish_checksum(frame.bytes, frame.info))) {
        ++refused_;
        return;
    }
    stack_->input(frame.bytes);
}

void Nat::on_frame_for_guest(std::span<const std::byte> frame) {
    if (!for_guest_.add(frame, {.checksum_valid = true})) ++overflowed_;
}

// False: the guest has no room for all of them.
bool Nat::give_to_guest() {
    if (room_available_.exchange(false)) guest_full_ = false;
    const auto frames = for_guest_.frames();
    while (!guest_full_ && given_ < frames.size()) {
        const auto next = frames.subspan(given_, std::min(kMostOffered, frames.size() - given_));
        offered_.clear();
        offered_parts_.assign(next.size(), {});
        for (size_t i = 0; i < next.size(); ++i) {
            offered_parts_[i] = next[i].bytes;
            NetFrameInfo info = next[i].info;
            info.checksum_valid = checksums_known_.load(std::memory_order_relaxed);
            offered_.push_back({std::span(&offered_parts_[i], 1), next[i].bytes.size(), info});
        }
        const size_t taken = client_->on_frames(offered_);
        given_ += taken;
        guest_full_ = taken < next.size();
    }
    if (guest_full_) return false;
    for_guest_.clear();
    given_ = 0;
    return true;
}

// Whoever brings work first brings it and then looks at sleeping_; here it is the other way round.
bool Nat::has_work() {
    if (stopping_.load() || room_available_.load() || ports_changed_.exchange(false)) return true;
    MutexLock lock(mutex_);
    return !waiting_.empty();
}

void Nat::wait(bool with_network) {
    constexpr uint32_t kLongestWaitMs = 10'000;
    handles_.clear();
    uint32_t wait_ms = kLongestWaitMs;
    if (with_network) {
        MutexLock lock(stack_mutex_);
        wait_ms = stack_->fill(handles_);
    }
    handles_.push_back({wake_.get(), POLLIN, 0});
    sleeping_.store(true);
    const int timeout = has_work() ? 0 : static_cast<int>(wait_ms);
    const int ready = ::poll(handles_.data(), handles_.size(), timeout);
    sleeping_.store(false);
    uint64_t count = 0;
    if (ready > 0 && handles_.back().revents != 0)
        (void)retry_interrupted([&] { return ::read(wake_.get(), &count, sizeof(count)); });
    if (!with_network) return;
    MutexLock lock(stack_mutex_);
    stack_->poll(handles_, ready < 0);
}

// The thread has to wait for the new socket, too.
Result<void> Nat::publish(const PublishedPort& port) {
    {
        MutexLock lock(stack_mutex_);
        if (stack_ == nullptr) TRY(open_stack());
        TRY(stack_->publish(port));
        published_.push_back(port);
    }
    ports_changed_.store(true);
    wake();
    return {};
}

// The socket is the host's as long as the thread waits for it.
Result<void> Nat::unpublish(const PublishedPort& port) {
    {
        MutexLock lock(stack_mutex_);
        const auto found = std::find(published_.begin(), published_.end(), port);
        if (found == published_.end()) {
            return fail(ErrorCode::not_found,
                        "unpublish " + to_text(port) + ": that is not published; see banyan show");
        }
        published_.erase(found);
        stack_->unpublish(port);
    }
    ports_changed_.store(true);
    wake();
    return {};
}

std::vector<PublishedPort> Nat::published() const {
    MutexLock lock(stack_mutex_);
    return published_;
}

}  // namespace banyan
