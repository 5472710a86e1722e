// Nat: user-mode networking: the guest reaches what the host's programs reach, without privileges.
//
// libslirp runs on a thread of its own, which is there while the card is in use; nothing of it is
// loaded before. Frames from the guest are queued for that thread and frames for the guest are
// delivered by it, both within bounds; docs/network.md says what the guest reaches and what not.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "backends/net/frame_buffer.hpp"
#include "backends/net/port_publisher.hpp"
#include "backends/net/slirp_stack.hpp"
#include "host/posix/unique_fd.hpp"
#include "support/counter.hpp"
#include "support/mutex.hpp"
#include "vm/network.hpp"

namespace banyan {

// What is best told to the guest.
inline constexpr uint16_t kNatMtu = 65520;

class Nat final : public NetBackend, public PortPublisher, private SlirpOutput {
public:
    // Before the first one starts, for processes that may not load it then; else that does.
    static void load_library();
    // Ports are published at once, so that a port that is taken is an error here.
    static Result<std::unique_ptr<Nat>> create(const SlirpOptions& options,
                                               std::vector<PublishedPort> published = {});
    ~Nat() override;

    NetOffloads offloads() const override;
    void set_client_offloads(const NetOffloads& offloads) override;
    void set_client_mtu(uint16_t mtu) override;
    bool link_up() const override { return !broken_; }
    Result<void> start(NetClient& client) override;
    void stop() override;
    size_t send(std::span<const NetFrame> frames) override;
    void receive_room_available() override;

    Result<void> publish(const PublishedPort& port) override;
    Result<void> unpublish(const PublishedPort& port) override;
    std::vector<PublishedPort> published() const override;

    // From any thread.
    uint64_t refused() const { return refused_; }        // frames to the host itself
    uint64_t overflowed() const { return overflowed_; }  // frames for which the guest had no room

private:
    Nat(SlirpOptions options, UniqueFd wake);

    Result<void> open_stack() REQUIRES(stack_mutex_);
    void run();
    void take_from_guest();
    void input(const FrameBuffer::Frame& frame) REQUIRES(stack_mutex_);
    bool give_to_guest();
    void wait(bool with_network);
    bool has_work();
    void wake();
    void on_frame_for_guest(std::span<const std::byte> frame) override;

    // configuration
    const SlirpOptions options_;
    // wiring
    NetClient* client_ = nullptr;
    UniqueFd wake_;
    std::thread thread_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> sleeping_{false};
    std::atomic<bool> room_available_{false};
    std::atomic<bool> ports_changed_{false};
    std::atomic<bool> checksums_known_{false};  // the guest need not check them again
    bool broken_ = false;
    // of the thread, while there is one
    FrameBuffer from_guest_;  // taken from waiting_
    FrameBuffer for_guest_;
    size_t given_ = 0;  // of for_guest_
    bool guest_full_ = false;
    std::vector<NetFrame> offered_;
    std::vector<std::span<const std::byte>> offered_parts_;
    std::vector<pollfd> handles_;
    Counter refused_;
    Counter overflowed_;

    // Whoever publishes a port shares the library with the thread: held for each use of it, not
    // while the thread waits or speaks with the client. A leaf.
    mutable Mutex stack_mutex_;
    uint16_t mtu_ GUARDED_BY(stack_mutex_) = kNatMtu;
    std::unique_ptr<SlirpStack> stack_ GUARDED_BY(stack_mutex_);
    std::vector<PublishedPort> published_ GUARDED_BY(stack_mutex_);

    Mutex mutex_;  // a leaf
    FrameBuffer waiting_ GUARDED_BY(mutex_);
    bool sender_waits_ GUARDED_BY(mutex_) = false;
};

}  // namespace banyan
