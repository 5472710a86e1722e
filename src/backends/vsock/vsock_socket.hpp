// VsockSocket: the Unix socket behind one stream of a guest.
//
// Devices use it with their lock held, which the poller's thread waits for when it tells of a
// change. So a socket that its device lets go of is taken off the poller later, by the poller's own
// thread (VsockSockets::retire()).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "host/posix/unique_fd.hpp"
#include "support/mutex.hpp"
#include "vm/poller.hpp"
#include "vm/vsock.hpp"

namespace banyan {

class VsockSockets;

class VsockSocket final : private PollClient, public std::enable_shared_from_this<VsockSocket> {
public:
    enum class Stage : uint8_t {
        greeting,  // the host's end has to say which port it wants
        stream,
    };

    VsockSocket(VsockSockets& owner, Poller& poller, UniqueFd fd, Stage stage)
        : owner_(owner), poller_(poller), fd_(std::move(fd)), stage_(stage) {}

    Result<void> watch_first();
    void unwatch();

    // As VsockStream has them.
    VsockStream::Moved read(std::span<std::byte> to) const;
    VsockStream::Moved write(std::span<const std::byte> from) const;
    void end_writing() const;
    void accepted(uint32_t host_port) const;
    void watch(uint32_t cookie, Readiness interest);
    void let_go() { let_go_ = true; }

private:
    void on_ready(Readiness ready) override;
    void read_greeting();

    VsockSockets& owner_;
    Poller& poller_;
    UniqueFd fd_;
    Stage stage_;           // of the poller's thread
    std::string greeting_;  // the same
    std::atomic<bool> let_go_{false};
    std::atomic<uint32_t> cookie_{0};
    Readiness interest_;  // of whoever holds the device's lock
};

// "CONNECT P" with a number up to 2^32 - 2; nothing else.
std::optional<uint32_t> parse_vsock_greeting(std::string_view line);

}  // namespace banyan
