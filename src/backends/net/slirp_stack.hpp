// SlirpStack: the network that libslirp plays for a guest: a router at 10.0.2.2 that is also the
// DHCP server, a DNS server at 10.0.2.3, the guest at 10.0.2.15; the same for IPv6. It opens
// sockets on the host for what the guest says.
//
// Not for several threads: all calls on one, or one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <vector>

#include "backends/net/libslirp.hpp"
#include "backends/net/published_port.hpp"
#include "support/result.hpp"

namespace banyan {

struct SlirpOptions {
    std::string host_name = {};  // of the guest, for DHCP; empty: none
    bool host_loopback = false;  // 10.0.2.2 is the host's 127.0.0.1
    // Where its router (host 2) and DNS server (host 3) are.
    uint32_t network = 0x0A000200;  // 10.0.2.0/24
    uint32_t network_mask = 0xFFFFFF00;
};

// Where frames go that the network has for the guest.
class SlirpOutput {
public:
    virtual void on_frame_for_guest(std::span<const std::byte> frame) = 0;

protected:
    ~SlirpOutput() = default;
};

class SlirpStack {
public:
    // `mtu` is the largest IP packet for the guest. Fails when the library is not there.
    static Result<std::unique_ptr<SlirpStack>> create(const SlirpOptions& options, uint16_t mtu,
                                                      SlirpOutput& output);
    ~SlirpStack();
    SlirpStack(const SlirpStack&) = delete;
    SlirpStack& operator=(const SlirpStack&) = delete;

    uint16_t mtu() const { return mtu_; }

    // Fails when the port of the host is taken.
    Result<void> publish(const PublishedPort& port);
    // One that is published.
    void unpublish(const PublishedPort& port);

    // A frame that the guest sends, with its checksums.
    void input(std::span<const std::byte> frame);
    // Adds what is to be waited for, and returns for how long at most, in ms.
    uint32_t fill(std::vector<pollfd>& handles);
    // After that wait, with the same handles; `failed`: the wait itself did.
    void poll(const std::vector<pollfd>& handles, bool failed);

private:
    struct RunningTimer {
        SlirpTimerId id;
        void* data = nullptr;
        int64_t due_ms = -1;  // -1: not running
    };

    SlirpStack(const LibSlirp& library, uint16_t mtu, SlirpOutput& output)
        : library_(library), mtu_(mtu), output_(output) {}
    Result<void> start(const SlirpOptions& options);
    void run_timers();

    // What the library calls; `self` is the stack.
    static const SlirpCb& callbacks();
    static ssize_t send_packet(const void* bytes, size_t size, void* self);
    static void* new_timer(SlirpTimerId id, void* data, void* self);
    static void free_timer(void* timer, void* self);
    static void modify_timer(void* timer, int64_t due_ms, void* self);

    const LibSlirp& library_;
    const uint16_t mtu_;
    SlirpOutput& output_;
    Slirp* slirp_ = nullptr;
    std::vector<std::unique_ptr<RunningTimer>> timers_;
};

}  // namespace banyan
