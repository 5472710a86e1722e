#include <array>
#include <deque>
#include <gtest/gtest.h>
#include <string>

#include "devices/virtio/testing/packed_guest_queue.hpp"
#include "devices/virtio/virtqueue.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

using virtio::kDescIndirect;
using virtio::kDescNext;
using virtio::kDescWrite;
using virtio::kPackedAvail;
using virtio::kPackedWrap;
using Taken = Virtqueue::Next;

constexpr uint16_t kPackedSize = 7;  // 2.8.10.1: need not be a power of two
constexpr uint64_t kPackedRam = 1U << 20;
constexpr Gpa kPackedRing{0x8000};
constexpr Gpa kPackedTable{0x20000};
constexpr uint64_t kPackedFeatures =
    virtio::kFeatureRingPacked | virtio::kFeatureIndirectDesc | virtio::kFeatureEventIdx;

class PackedVirtqueueTest : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(enable(kPackedFeatures)); }

    bool enable(uint64_t features) {
        driver_ = PackedGuestQueueHolder{memory_};
        queue_.reset();
        queue_.set_size(kPackedSize);
        queue_.set_descriptors(driver().descriptors());
        queue_.set_available(driver().available());
        queue_.set_used(driver().used());
        return queue_.enable(features);
    }
    PackedGuestQueue& driver() { return *driver_.queue; }
    void expect_broken() { EXPECT_EQ(queue_.peek(chain_), Taken::broken); }
    void serve_one(uint32_t written = 0) {
        ASSERT_EQ(queue_.peek(chain_), Taken::chain);
        queue_.pop();
        queue_.push_used(chain_.head(), written);
    }

    struct PackedGuestQueueHolder {
        explicit PackedGuestQueueHolder(GuestMemory& memory)
            : queue(std::make_unique<PackedGuestQueue>(memory, kPackedRing, kPackedSize)) {}
        std::unique_ptr<PackedGuestQueue> queue;
    };

    FakeRam ram_{kPackedRam};
    GuestMemory& memory_ = ram_.memory();
    PackedGuestQueueHolder driver_{memory_};
    Virtqueue queue_{memory_, 16};
    DescriptorChain chain_{16};
};

TEST_F(PackedVirtqueueTest, IsEmptyAtFirst) {
    EXPECT_EQ(queue_.peek(chain_), Taken::empty);
    EXPECT_FALSE(driver().take_used());
}

TEST_F(PackedVirtqueueTest, ReadsAndGivesBackAChain) {
    ASSERT_TRUE(memory_.write({0x100}, std::as_bytes(std::span("hello", 5))));
    const uint16_t id = driver().add({{{0x100}, 5}, {{0x6000}, 3, true}, {{0x7000}, 3, true}});
    ASSERT_EQ(queue_.peek(chain_), Taken::chain);
    EXPECT_EQ(chain_.readable_length(), 5U);
    EXPECT_EQ(chain_.writable_length(), 6U);
    EXPECT_FALSE(driver().take_used());
    queue_.pop();
    queue_.push_used(chain_.head(), 6);
    const auto used = driver().take_used(3);
    ASSERT_TRUE(used);
    EXPECT_EQ(used->id, id);
    EXPECT_EQ(used->length, 6U);
    EXPECT_NE(driver().last_flags() & kDescWrite, 0) << "2.8.1: something was written";
    EXPECT_EQ(queue_.peek(chain_), Taken::empty);
}

TEST_F(PackedVirtqueueTest, WhatWroteNothingSaysSo) {
    driver().add({{{0x100}, 5}});
    serve_one(0);
    ASSERT_TRUE(driver().take_used());
    EXPECT_EQ(driver().last_flags() & kDescWrite, 0);
}

// Chains of one to three descriptors over a ring of seven: ends at each place, in both laps.
TEST_F(PackedVirtqueueTest, WrapsAround) {
    const std::array<GuestBuffer, 3> buffers{{{{0x100}, 1}, {{0x200}, 2}, {{0x300}, 3}}};
    for (unsigned i = 0; i < 1000; ++i) {
        const auto count = static_cast<uint16_t>(1 + i % 3);
        const uint16_t id = driver().add(std::span(buffers).first(count));
        ASSERT_EQ(queue_.peek(chain_), Taken::chain) << i;
        ASSERT_EQ(chain_.readable().size(), count);
        queue_.pop();
        ASSERT_EQ(queue_.peek(chain_), Taken::empty);
        queue_.push_used(chain_.head(), i);
        const auto used = driver().take_used(count);
        ASSERT_TRUE(used) << i;
        ASSERT_EQ(used->id, id);
        ASSERT_EQ(used->length, i);
    }
}

// A driver that sees the first of several sees the others too.
TEST_F(PackedVirtqueueTest, SeveralAreGivenBackAtOnce) {
    std::array<Virtqueue::UsedChain, 3> used;
    for (uint32_t i = 0; i < 3; ++i) {
        driver().add({{{0x100}, 5}, {{0x6000}, 3, true}});
        ASSERT_EQ(queue_.peek(chain_), Taken::chain);
        queue_.pop();
        used[i] = {chain_.head(), i + 1};
    }
    queue_.push_used(used);
    for (uint32_t i = 0; i < 3; ++i) {
        const auto element = driver().take_used(2);
        ASSERT_TRUE(element) << i;
        EXPECT_EQ(element->length, i + 1);
    }
}

TEST_F(PackedVirtqueueTest, WhatWasTakenCanBePutBack) {
    for (unsigned lap = 0; lap < 20; ++lap) {
        std::array<uint16_t, kPackedSize> ids;
        for (uint16_t& id : ids)
            id = driver().add({{{0x100}, 5}});
        const auto start = queue_.position();
        for (unsigned taken = 0; taken < 1 + lap % kPackedSize; ++taken) {
            ASSERT_EQ(queue_.peek(chain_), Taken::chain);
            queue_.pop();
        }
        queue_.rewind(start);
        for (const uint16_t id : ids) {
            serve_one();
            const auto element = driver().take_used();
            ASSERT_TRUE(element);
            EXPECT_EQ(element->id, id);
        }
        EXPECT_EQ(queue_.peek(chain_), Taken::empty);
    }
}

// 2.8.1: any order, and what was used stands where the next is due.
TEST_F(PackedVirtqueueTest, GivesBackInAnyOrder) {
    struct Open {
        uint16_t id;
        uint16_t count;
        uint16_t head;
    };
    const std::array<GuestBuffer, 2> buffers{{{{0x100}, 1}, {{0x200}, 2}}};
    std::deque<Open> open;
    for (unsigned i = 0; i < 200; ++i) {
        while (open.size() < 3) {
            const auto count = static_cast<uint16_t>(1 + (i + open.size()) % 2);
            const uint16_t id = driver().add(std::span(buffers).first(count));
            ASSERT_EQ(queue_.peek(chain_), Taken::chain);
            queue_.pop();
            open.push_back({id, count, chain_.head()});
        }
        const Open served = open[i % 2 + 1];
        open.erase(open.begin() + i % 2 + 1);
        queue_.push_used(served.head, 0);
        const auto used = driver().take_used(served.count);
        ASSERT_TRUE(used);
        ASSERT_EQ(used->id, served.id) << i;
    }
}

TEST_F(PackedVirtqueueTest, PeekingAgainGivesTheSameChain) {
    driver().add({{{0x100}, 6}});
    driver().add({{{0x200}, 7}});
    ASSERT_EQ(queue_.peek(chain_), Taken::chain);
    ASSERT_EQ(queue_.peek(chain_), Taken::chain);
    EXPECT_EQ(chain_.readable_length(), 6U);
    queue_.pop();
    ASSERT_EQ(queue_.peek(chain_), Taken::chain);
    EXPECT_EQ(chain_.readable_length(), 7U);
}

TEST_F(PackedVirtqueueTest, FollowsAnIndirectTable) {
    const std::array<GuestBuffer, 3> buffers{{{{0x100}, 6}, {{0x200}, 4}, {{0x300}, 2, true}}};
    const uint16_t id = driver().add_indirect(buffers, kPackedTable);
    ASSERT_EQ(queue_.peek(chain_), Taken::chain);
    EXPECT_EQ(chain_.readable().size(), 2U);
    EXPECT_EQ(chain_.writable_length(), 2U);
    queue_.pop();
    queue_.push_used(chain_.head(), 2);
    EXPECT_EQ(driver().take_used(1)->id, id) << "a table takes up one descriptor";
}

TEST_F(PackedVirtqueueTest, WritesMarkPagesDirty) {
    driver().add({{{0x6000}, 4, true}});
    memory_.start_dirty_log();
    serve_one(4);
    EXPECT_EQ(memory_.take_dirty(), (std::vector<Gpa>{kPackedRing}));
}

// Hostile rings.

TEST_F(PackedVirtqueueTest, AChainWithoutAnEndIsBroken) {
    for (unsigned i = 0; i < kPackedSize; ++i)
        driver().add_raw({0x100, 1, 0, kDescNext});
    expect_broken();
}

TEST_F(PackedVirtqueueTest, AddressesOutsideMemoryAreBroken) {
    for (const uint64_t address : {kPackedRam, kPackedRam - 1, ~uint64_t{0}, bit(63)}) {
        for (const uint16_t flags : {uint16_t{0}, kDescWrite}) {
            ASSERT_TRUE(enable(kPackedFeatures));
            driver().add_raw({address, 2, 0, flags});
            expect_broken();
        }
    }
}

TEST_F(PackedVirtqueueTest, MalformedIndirectDescriptorsAreBroken) {
    constexpr uint64_t kAt = kPackedTable.value;
    const std::array<virtio::PackedDescriptor, 5> bad{
        {{kAt, 0, 0, kDescIndirect},
         {kAt, 24, 0, kDescIndirect},
         {kAt, 16, 0, kDescIndirect | kDescNext},
         {kPackedRam - 16, 32, 0, kDescIndirect},
         {kAt, 16 * 17, 0, kDescIndirect}}};  // longer than the largest queue
    for (const auto& descriptor : bad) {
        ASSERT_TRUE(enable(kPackedFeatures));
        driver().add_raw(descriptor);
        expect_broken();
    }
}

TEST_F(PackedVirtqueueTest, IndirectNeedsItsFeature) {
    ASSERT_TRUE(enable(virtio::kFeatureRingPacked));
    const std::array<GuestBuffer, 1> buffers{{{{0x100}, 6}}};
    driver().add_indirect(buffers, kPackedTable);
    expect_broken();
}

TEST_F(PackedVirtqueueTest, ReadableAfterWritableIsBroken) {
    driver().add({{{0x100}, 6, true}, {{0x200}, 4}});
    expect_broken();
}

// The device holds as many chains as the ring has descriptors, and the driver says that there are
// more.
TEST_F(PackedVirtqueueTest, MoreChainsThanDescriptorsAreBroken) {
    for (unsigned i = 0; i < kPackedSize; ++i) {
        driver().add({{{0x100}, 1}});
        ASSERT_EQ(queue_.peek(chain_), Taken::chain);
        queue_.pop();
    }
    driver().add({{{0x100}, 1}});
    expect_broken();
}

// Set-up.

TEST_F(PackedVirtqueueTest, RingsMustBeAlignedAndInMemory) {
    const auto enabled_with = [&](Gpa ring, Gpa driver_events, Gpa device_events) {
        queue_.reset();
        queue_.set_descriptors(ring);
        queue_.set_available(driver_events);
        queue_.set_used(device_events);
        return queue_.enable(kPackedFeatures);
    };
    const Gpa end{kPackedRam};
    EXPECT_TRUE(enabled_with({0x1000}, {0x2000}, {0x2004}));
    EXPECT_FALSE(enabled_with({0x1008}, {0x2000}, {0x2004}));
    EXPECT_FALSE(enabled_with({0x1000}, {0x2002}, {0x2004}));
    EXPECT_FALSE(enabled_with({0x1000}, {0x2000}, {0x2002}));
    EXPECT_FALSE(enabled_with({end.value - 0xf0}, {0x2000}, {0x2004}));
    EXPECT_FALSE(enabled_with({0x1000}, end, {0x2004}));
    EXPECT_FALSE(enabled_with({0x1000}, {0x2000}, end));
}

// Notifications.

TEST_F(PackedVirtqueueTest, InterruptsFollowTheFlags) {
    for (int i = 0; i < 3; ++i)
        driver().add({{{0x100}, 1}});
    EXPECT_FALSE(queue_.take_interrupt()) << "nothing was used";
    serve_one();
    EXPECT_TRUE(queue_.take_interrupt());
    EXPECT_FALSE(queue_.take_interrupt());
    driver().set_event(0, virtio::kPackedEventDisable);
    serve_one();
    EXPECT_FALSE(queue_.take_interrupt());
}

// 2.8.7: the driver names the descriptor, in this lap or the next.
TEST_F(PackedVirtqueueTest, InterruptsFollowTheEvent) {
    for (unsigned round = 0; round < 20; ++round) {
        driver().set_event(driver().position(), virtio::kPackedEventDesc);
        driver().add({{{0x100}, 1}});
        serve_one();
        EXPECT_TRUE(queue_.take_interrupt()) << round;
        ASSERT_TRUE(driver().take_used());
        driver().add({{{0x100}, 1}});
        serve_one();
        EXPECT_FALSE(queue_.take_interrupt()) << round << ": that event has passed";
        ASSERT_TRUE(driver().take_used());
    }
}

// Two laps between two looks: the positions are as before, but the event was passed.
TEST_F(PackedVirtqueueTest, AnEventIsNotMissedAfterTwoLaps) {
    driver().set_event(static_cast<uint16_t>(kPackedWrap | 3), virtio::kPackedEventDesc);
    for (unsigned i = 0; i < 2U * kPackedSize; ++i) {
        driver().add({{{0x100}, 1}});
        serve_one();
        ASSERT_TRUE(driver().take_used());
    }
    EXPECT_TRUE(queue_.take_interrupt());
}

TEST_F(PackedVirtqueueTest, ArmingAsksForTheNextBuffer) {
    driver().add({{{0x100}, 1}});
    EXPECT_TRUE(queue_.arm_notification()) << "one is waiting";
    serve_one();
    EXPECT_FALSE(queue_.arm_notification());
    EXPECT_EQ(driver().device_event(),
              uint32_t{virtio::kPackedEventDesc} << 16 | driver().position());
}

// Saved state.

TEST_F(PackedVirtqueueTest, GoesOnAfterRestore) {
    const std::array<GuestBuffer, 3> buffers{{{{0x100}, 1}, {{0x200}, 2}, {{0x300}, 3}}};
    for (unsigned i = 0; i < 40; ++i) {
        driver().add(buffers);
        serve_one();
        ASSERT_TRUE(driver().take_used(3));
        if (i % 3 == 0) (void)queue_.take_interrupt();
        Virtqueue copy(memory_, 16);
        ASSERT_TRUE(copy.restore(queue_.state(), kPackedFeatures));
        const auto state = queue_.state();
        queue_.reset();
        ASSERT_TRUE(queue_.restore(state, kPackedFeatures));
    }
}

TEST_F(PackedVirtqueueTest, RefusesImpossibleState) {
    const auto refused = [&](auto change) {
        Virtqueue copy(memory_, 16);
        auto state = queue_.state();
        change(state);
        return !copy.restore(state, kPackedFeatures) && !copy.enabled();
    };
    EXPECT_TRUE(refused([](auto& s) { s.next_available = kPackedSize; }));
    EXPECT_TRUE(refused([](auto& s) { s.next_used = kPackedWrap | kPackedSize; }));
    EXPECT_TRUE(refused([](auto& s) { s.signalled_used = 0x7fff; }));
    EXPECT_TRUE(refused([](auto& s) { s.size = 0; }));
    EXPECT_TRUE(refused([](auto& s) { s.used = kPackedRam; }));
}

}  // namespace
}  // namespace banyan
