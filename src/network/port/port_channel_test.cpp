#include "network/port/port_channel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "network/packets/testing/packet_builder.hpp"

namespace banyan {
namespace {

PortHandles copies_of(const PortHandles& handles) {
    return {UniqueFd(::dup(handles.memory.get())), UniqueFd(::dup(handles.wakes_switch.get())),
            UniqueFd(::dup(handles.wakes_member.get()))};
}

struct Sockets {
    Sockets() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends.data()), 0);
        a.reset(ends[0]);
        b.reset(ends[1]);
    }
    UniqueFd a, b;
};

TEST(PortChannel, JoinsTwoSides) {
    PortHandles handles = *PortChannel::make_handles(kLeastRing);
    auto member = *PortChannel::open(copies_of(handles), kLeastRing, PortChannel::Side::of_member);
    auto of_switch =
        *PortChannel::open(std::move(handles), kLeastRing, PortChannel::Side::of_switch);
    const FrameBytes there = counting_bytes(100), back = counting_bytes(200);
    ASSERT_EQ(member->out().push(WholeFrame(there).get()), RingProducer::Status::ok);
    ASSERT_EQ(of_switch->out().push(WholeFrame(back).get()), RingProducer::Status::ok);
    member->out().publish();
    of_switch->out().publish();
    RingFrame frame;
    ASSERT_EQ(of_switch->in().next(frame), RingConsumer::Status::ok);
    EXPECT_EQ(whole(frame.get()), there);
    ASSERT_EQ(member->in().next(frame), RingConsumer::Status::ok);
    EXPECT_EQ(whole(frame.get()), back);
    uint64_t count = 0;
    member->wake_other();
    EXPECT_EQ(::read(of_switch->wake_handle(), &count, 8), 8);
    EXPECT_EQ(::read(member->wake_handle(), &count, 8), -1);
    of_switch->wake_other();
    EXPECT_EQ(::read(member->wake_handle(), &count, 8), 8);
}

TEST(PortChannel, RefusesMemoryThatCouldShrinkOrIsSmall) {
    PortHandles handles = *PortChannel::make_handles(kLeastRing);
    EXPECT_NE(::ftruncate(handles.memory.get(), 4096), 0) << "sealed";
    EXPECT_FALSE(
        PortChannel::open(copies_of(handles), 2 * kLeastRing, PortChannel::Side::of_member));
    PortHandles open = copies_of(handles);
    open.memory.reset(::memfd_create("test", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(open.memory.get(), 16 << 20), 0);
    EXPECT_FALSE(PortChannel::open(std::move(open), kLeastRing, PortChannel::Side::of_member));
    PortHandles none = copies_of(handles);
    none.memory.reset();
    EXPECT_FALSE(PortChannel::open(std::move(none), kLeastRing, PortChannel::Side::of_member));
}

TEST(PortChannel, SendsItsHandlesWithAMessage) {
    Sockets sockets;
    const PortHandles handles = *PortChannel::make_handles(kLeastRing);
    FrameBytes message(64);
    EXPECT_TRUE(receive_with_handles(sockets.b.get(), message)->again);
    ASSERT_TRUE(send_with_handles(sockets.a.get(), counting_bytes(30), &handles));
    auto received = receive_with_handles(sockets.b.get(), message);
    ASSERT_TRUE(received);
    EXPECT_EQ(received->size, 30U);
    EXPECT_TRUE(
        PortChannel::open(std::move(received->handles), kLeastRing, PortChannel::Side::of_member));
    sockets.a.reset();
    received = receive_with_handles(sockets.b.get(), message);
    EXPECT_EQ(received->size, 0U);
    EXPECT_FALSE(received->handles.memory.valid());
}

}  // namespace
}  // namespace banyan
