#include "backends/net/frame_stream.hpp"

#include <cerrno>
#include <ctime>
#include <sys/socket.h>
#include <utility>

#include "backends/net/frame_record.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"

namespace banyan {

namespace {

constexpr size_t kMostWaiting = size_t{4} << 20;  // bytes: a burst of some ms at full speed

}  // namespace

Result<std::unique_ptr<FrameStream>> FrameStream::connect(Poller& poller, const std::string& path) {
    constexpr std::string_view kListen = "give a socket where somebody listens";
    const std::string what = "send frames to " + quote_name(path);
    const UnixAddress address(path);
    if (!address.valid()) return host_fail(ENAMETOOLONG, what, kListen);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.valid() || ::connect(socket.get(), address.get(), address.size()) != 0)
        return host_fail(errno, what, kListen);
    auto stream = std::unique_ptr<FrameStream>(new FrameStream(poller, std::move(socket)));
    TRY(poller.watch(stream->socket_.get(), {.readable = true}, *stream));
    stream->watched_ = true;
    return stream;
}

FrameStream::~FrameStream() {
    if (watched_) poller_.unwatch(socket_.get());
}

void FrameStream::record(const NetFrame& frame) {
    if (gone_) return;
    MutexLock lock(mutex_);
    if (waiting_.size() - written_ + sizeof(FrameRecordHeader) + frame.size > kMostWaiting) {
        ++lost_;
        return;
    }
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const FrameRecordHeader header{static_cast<uint32_t>(now.tv_sec),
                                   static_cast<uint32_t>(now.tv_nsec),
                                   static_cast<uint32_t>(frame.size), std::exchange(lost_, 0)};
    const auto* const bytes = reinterpret_cast<const std::byte*>(&header);
    waiting_.insert(waiting_.end(), bytes, bytes + sizeof(header));
    // Frames of a guest lie in its memory and may change; what they are now is what is recorded.
    const size_t at = waiting_.size();
    waiting_.resize(at + frame.size);
    copy_frame(frame, std::span(waiting_).subspan(at));
    flush();
}

// An error also shows at the next look at the socket.
void FrameStream::flush() {
    while (written_ < waiting_.size()) {
        const ssize_t count = retry_interrupted([&] {
            return ::send(socket_.get(), waiting_.data() + written_, waiting_.size() - written_,
                          MSG_DONTWAIT | MSG_NOSIGNAL);
        });
        if (count <= 0) break;
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

// A reader says nothing: what can be read is its end.
void FrameStream::on_ready(Readiness ready) {
    if (ready.readable) {
        std::byte ignored{};
        const ssize_t count = ::recv(socket_.get(), &ignored, 1, MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
            gone_ = true;
            watched_ = false;
            poller_.unwatch(socket_.get());
            return;
        }
    }
    MutexLock lock(mutex_);
    flush();
}

}  // namespace banyan
