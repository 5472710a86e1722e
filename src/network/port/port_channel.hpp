// PortChannel: one side's view of the memory and the events that a member and its switch share.
#pragma once

#include <memory>
#include <span>

#include "host/posix/unique_fd.hpp"
#include "network/port/frame_ring.hpp"
#include "support/result.hpp"

namespace banyan {

// What travels from the switch to the member beside its welcome.
struct PortHandles {
    UniqueFd memory;        // two rings; sealed: nobody can shorten it, and a reader gets no SIGBUS
    UniqueFd wakes_switch;  // eventfds
    UniqueFd wakes_member;
};
inline constexpr size_t kPortHandles = 3;

class PortChannel {
public:
    enum class Side : uint8_t { of_switch, of_member };

    // By the switch: new memory for rings of that size.
    static Result<PortHandles> make_handles(size_t ring_size);
    // Refuses memory that is smaller than it should be, or that could become so.
    static Result<std::unique_ptr<PortChannel>> open(PortHandles handles, size_t ring_size,
                                                     Side side);
    ~PortChannel();
    PortChannel(const PortChannel&) = delete;
    PortChannel& operator=(const PortChannel&) = delete;

    RingProducer& out() { return out_; }
    RingConsumer& in() { return in_; }

    // Readable when the other side woke this one.
    int wake_handle() const { return own_wake().get(); }
    void clear_wake() const;
    void wake_other() const;
    // As if the other side had done so: there is more to do.
    void wake_self() const;

    const PortHandles& handles() const { return handles_; }

private:
    PortChannel(PortHandles handles, std::span<std::byte> memory, size_t ring_size, Side side);
    const UniqueFd& own_wake() const {
        return side_ == Side::of_switch ? handles_.wakes_switch : handles_.wakes_member;
    }
    const UniqueFd& other_wake() const {
        return side_ == Side::of_switch ? handles_.wakes_member : handles_.wakes_switch;
    }

    PortHandles handles_;
    std::span<std::byte> memory_;
    Side side_;
    RingProducer out_;
    RingConsumer in_;
};

// One message with the handles on a Unix socket. `handles` nullptr: none.
Result<void> send_with_handles(int socket, std::span<const std::byte> message,
                               const PortHandles* handles);
// How many bytes came; 0 at the end. Does not wait on a socket that does not. Handles that do not
// come in threes are closed.
struct ReceivedMessage {
    size_t size = 0;
    bool again = false;  // nothing is there yet
    PortHandles handles;
};
Result<ReceivedMessage> receive_with_handles(int socket, std::span<std::byte> message);

}  // namespace banyan
