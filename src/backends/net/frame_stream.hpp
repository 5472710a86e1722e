// FrameStream: copies of frames for somebody who captures them, at a Unix socket where he listens.
//
// Whoever is recorded never waits: what the reader does not take in time is kept up to a bound, and
// is counted beyond it. When the reader goes, the stream does nothing more.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "host/posix/unique_fd.hpp"
#include "support/mutex.hpp"
#include "vm/network.hpp"
#include "vm/poller.hpp"

namespace banyan {

class FrameStream final : private PollClient {
public:
    // Fails where nobody listens. The poller outlives it.
    static Result<std::unique_ptr<FrameStream>> connect(Poller& poller, const std::string& path);
    ~FrameStream();
    FrameStream(const FrameStream&) = delete;
    FrameStream& operator=(const FrameStream&) = delete;

    // From any thread.
    void record(const NetFrame& frame);
    bool gone() const { return gone_; }

private:
    FrameStream(Poller& poller, UniqueFd socket) : poller_(poller), socket_(std::move(socket)) {}
    void on_ready(Readiness ready) override;
    void flush() REQUIRES(mutex_);

    Poller& poller_;
    const UniqueFd socket_;
    std::atomic<bool> gone_{false};
    bool watched_ = false;  // of the thread that makes it, and of the poller's

    Mutex mutex_;  // a leaf
    std::vector<std::byte> waiting_ GUARDED_BY(mutex_);
    size_t written_ GUARDED_BY(mutex_) = 0;  // of them
    uint32_t lost_ GUARDED_BY(mutex_) = 0;
    bool wants_writable_ GUARDED_BY(mutex_) = false;
};

}  // namespace banyan
