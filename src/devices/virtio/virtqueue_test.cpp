#include "devices/virtio/virtqueue.hpp"

#include <array>
#include <gtest/gtest.h>
#include <string>

#include "devices/virtio/testing/guest_queue.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

using virtio::kDescIndirect;
using virtio::kDescNext;
using virtio::kDescWrite;
using Next = Virtqueue::Next;

constexpr uint16_t kSize = 8;
constexpr uint64_t kRam = 1U << 20;
constexpr Gpa kRings{0x8000};
constexpr Gpa kTable{0x20000};
constexpr uint64_t kAll = virtio::kFeatureIndirectDesc | virtio::kFeatureEventIdx;

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

class VirtqueueTest : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(enable(kAll)); }

    bool enable(uint64_t features) {
        queue_.reset();
        queue_.set_size(kSize);
        queue_.set_descriptors(driver_.descriptors());
        queue_.set_available(driver_.available());
        queue_.set_used(driver_.used());
        return queue_.enable(features);
    }
    void expect_broken() {
        EXPECT_EQ(queue_.peek(chain_), Next::broken);
        EXPECT_EQ(driver_.used_index(), 0U);
    }
    // Makes the descriptors available at once, as they are.
    void offer(std::initializer_list<virtio::Descriptor> descriptors) {
        uint16_t index = 0;
        for (const auto& descriptor : descriptors)
            driver_.write_descriptor(index++, descriptor);
        driver_.make_available(0);
    }
    void serve_one(uint32_t written = 0) {
        ASSERT_EQ(queue_.peek(chain_), Next::chain);
        queue_.pop();
        queue_.push_used(chain_.head(), written);
    }

    FakeRam ram_{kRam};
    GuestMemory& memory_ = ram_.memory();
    GuestQueue driver_{memory_, kRings, kSize};
    Virtqueue queue_{memory_, 16};
    DescriptorChain chain_{16};
};

TEST_F(VirtqueueTest, IsEmptyAtFirst) {
    EXPECT_EQ(queue_.peek(chain_), Next::empty);
}

TEST_F(VirtqueueTest, ReadsAndWritesAChain) {
    ASSERT_TRUE(memory_.write({0x100}, bytes_of("hello ")));
    ASSERT_TRUE(memory_.write({0x5000}, bytes_of("world")));
    driver_.add({{{0x100}, 6}, {{0x5000}, 5}, {{0x6000}, 3, true}, {{0x7000}, 3, true}});

    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    EXPECT_EQ(chain_.readable_length(), 11U);
    EXPECT_EQ(chain_.writable_length(), 6U);
    std::string text(8, '\0');
    EXPECT_EQ(chain_.copy_from(4, std::as_writable_bytes(std::span(text))), 7U);
    EXPECT_EQ(text.substr(0, 7), "o world");
    EXPECT_EQ(chain_.copy_to(memory_, 1, bytes_of("abcdefgh")), 5U);
    queue_.pop();
    queue_.push_used(chain_.head(), 6);

    std::string low(3, '\0');
    std::string high(3, '\0');
    ASSERT_TRUE(memory_.read({0x6000}, std::as_writable_bytes(std::span(low))));
    ASSERT_TRUE(memory_.read({0x7000}, std::as_writable_bytes(std::span(high))));
    EXPECT_EQ(low + high, std::string("\0abcde", 6));
    const auto used = driver_.take_used();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->id, 0U);
    EXPECT_EQ(used->length, 6U);
}

TEST_F(VirtqueueTest, WritesMarkPagesDirty) {
    driver_.add({{{0x6ffe}, 4, true}});
    memory_.start_dirty_log();
    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    (void)chain_.copy_to(memory_, 0, bytes_of("abcd"));
    EXPECT_EQ(memory_.take_dirty(), (std::vector<Gpa>{{0x6000}, {0x7000}}));
    queue_.pop();
    queue_.push_used(chain_.head(), 4);
    EXPECT_EQ(memory_.take_dirty(),
              (std::vector<Gpa>{{align_down(driver_.used().value, kPageSize)}}));
}

TEST_F(VirtqueueTest, PeekingAgainGivesTheSameChain) {
    driver_.add({{{0x100}, 6}});
    driver_.add({{{0x200}, 7}});
    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    EXPECT_EQ(chain_.readable_length(), 6U);
    queue_.pop();
    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    EXPECT_EQ(chain_.readable_length(), 7U);
}

TEST_F(VirtqueueTest, IndicesWrapAround) {
    for (unsigned i = 0; i < 0x10010; ++i) {
        driver_.add({{{0x100}, 1}});
        serve_one(i & 0xff);
        const auto used = driver_.take_used();
        ASSERT_TRUE(used);
        ASSERT_EQ(used->length, i & 0xff);
    }
    EXPECT_EQ(queue_.state().next_used, 0x10);
    EXPECT_EQ(queue_.peek(chain_), Next::empty);
}

TEST_F(VirtqueueTest, FollowsAnIndirectTable) {
    const std::array<GuestBuffer, 3> buffers{{{{0x100}, 6}, {{0x200}, 4}, {{0x300}, 2, true}}};
    driver_.add_indirect(buffers, kTable);
    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    EXPECT_EQ(chain_.readable().size(), 2U);
    EXPECT_EQ(chain_.writable_length(), 2U);
}

// 2.7.5.3.2: normal descriptors, then one for a table; its WRITE flag is ignored.
TEST_F(VirtqueueTest, FollowsAnIndirectTableAtTheEndOfAChain) {
    ASSERT_TRUE(memory_.write_object(kTable, GuestQueue::descriptor({{0x300}, 2, true}, true, 0)));
    offer({{0x100, 6, kDescNext, 1}, {kTable.value, 16, kDescIndirect | kDescWrite, 0}});
    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    EXPECT_EQ(chain_.readable_length(), 6U);
    EXPECT_EQ(chain_.writable_length(), 2U);
}

TEST_F(VirtqueueTest, TakesAChainAsLongAsTheQueue) {
    std::array<GuestBuffer, kSize> buffers{};
    buffers.fill({{0x100}, 1});
    driver_.add(buffers);
    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    EXPECT_EQ(chain_.readable_length(), kSize);
}

TEST_F(VirtqueueTest, SkipsEmptyDescriptors) {
    offer({{~0ULL, 0, kDescNext, 1}, {0x100, 3, 0, 0}});
    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    EXPECT_EQ(chain_.readable().size(), 1U);
}

// Hostile rings.

TEST_F(VirtqueueTest, ALoopIsBroken) {
    offer({{0x100, 1, kDescNext, 1}, {0x100, 1, kDescNext, 0}});
    expect_broken();
}

TEST_F(VirtqueueTest, ALoopOfEmptyDescriptorsIsBroken) {
    offer({{0x100, 0, kDescNext, 0}});
    expect_broken();
}

TEST_F(VirtqueueTest, ALoopInATableIsBroken) {
    ASSERT_TRUE(memory_.write_object(kTable, virtio::Descriptor{0x100, 1, kDescNext, 0}));
    offer({{kTable.value, 16, kDescIndirect, 0}});
    expect_broken();
}

TEST_F(VirtqueueTest, AChainLongerThanTheLargestQueueIsBroken) {
    std::array<GuestBuffer, 17> buffers{};
    buffers.fill({{0x100}, 1});
    driver_.add_indirect(buffers, kTable);
    expect_broken();
}

TEST_F(VirtqueueTest, AHeadOutsideTheTableIsBroken) {
    driver_.make_available(kSize);
    expect_broken();
}

TEST_F(VirtqueueTest, ANextOutsideTheTableIsBroken) {
    offer({{0x100, 1, kDescNext, kSize}});
    expect_broken();
}

TEST_F(VirtqueueTest, ANextOutsideTheIndirectTableIsBroken) {
    ASSERT_TRUE(memory_.write_object(kTable, virtio::Descriptor{0x100, 1, kDescNext, 1}));
    offer({{kTable.value, 16, kDescIndirect, 0}});
    expect_broken();
}

TEST_F(VirtqueueTest, AddressesOutsideMemoryAreBroken) {
    for (const uint64_t address : {kRam, kRam - 1, ~uint64_t{0}, ~uint64_t{1}, bit(63)}) {
        for (const uint16_t flags : {uint16_t{0}, kDescWrite}) {
            ASSERT_TRUE(enable(kAll));
            driver_.set_available_index(0);
            offer({{address, 2, flags, 0}});
            expect_broken();
        }
    }
}

TEST_F(VirtqueueTest, LengthsOutsideMemoryAreBroken) {
    offer({{0x100, 0xffffffff, 0, 0}});
    expect_broken();
}

TEST_F(VirtqueueTest, AnIndirectTableOutsideMemoryIsBroken) {
    offer({{kRam - 16, 32, kDescIndirect, 0}});
    expect_broken();
}

TEST_F(VirtqueueTest, MalformedIndirectDescriptorsAreBroken) {
    const std::array<virtio::Descriptor, 3> bad{{{kTable.value, 0, kDescIndirect, 0},
                                                 {kTable.value, 24, kDescIndirect, 0},
                                                 {kTable.value, 16, kDescIndirect | kDescNext, 0}}};
    for (const auto& descriptor : bad) {
        ASSERT_TRUE(enable(kAll));
        driver_.set_available_index(0);
        offer({descriptor});
        expect_broken();
    }
}

TEST_F(VirtqueueTest, ATableInATableIsBroken) {
    ASSERT_TRUE(
        memory_.write_object(kTable, virtio::Descriptor{kTable.value, 16, kDescIndirect, 0}));
    offer({{kTable.value, 16, kDescIndirect, 0}});
    expect_broken();
}

TEST_F(VirtqueueTest, IndirectNeedsItsFeature) {
    ASSERT_TRUE(enable(virtio::kFeatureEventIdx));
    const std::array<GuestBuffer, 1> buffers{{{{0x100}, 6}}};
    driver_.add_indirect(buffers, kTable);
    expect_broken();
}

TEST_F(VirtqueueTest, ReadableAfterWritableIsBroken) {
    driver_.add({{{0x100}, 6, true}, {{0x200}, 4}});
    expect_broken();
}

TEST_F(VirtqueueTest, AnAvailableIndexThatJumpsIsBroken) {
    driver_.set_available_index(kSize + 1);
    expect_broken();
    ASSERT_TRUE(enable(kAll));
    driver_.set_available_index(0xffff);
    expect_broken();
}

TEST_F(VirtqueueTest, WritableBuffersMustBeRam) {
    std::vector<std::byte> rom(2 * kPageSize);
    void* aligned = rom.data();
    size_t room = rom.size();
    ASSERT_NE(std::align(kPageSize, kPageSize, aligned, room), nullptr);
    ASSERT_TRUE(memory_.add_region({0xf0000000}, {static_cast<std::byte*>(aligned), kPageSize},
                                   MemoryKind::rom));
    driver_.add({{{0xf0000000}, 4}});
    EXPECT_EQ(queue_.peek(chain_), Next::chain) << "reading it is fine";
    queue_.pop();
    driver_.add({{{0xf0000000}, 4, true}});
    EXPECT_EQ(queue_.peek(chain_), Next::broken);
}

TEST_F(VirtqueueTest, ADescriptorThatChangesIsReadAgainAndChecked) {
    driver_.add({{{0x100}, 6}});
    ASSERT_EQ(queue_.peek(chain_), Next::chain);
    const auto before = chain_.readable()[0];
    driver_.write_descriptor(0, {~0ULL, 0xffff, 0, 0});
    EXPECT_EQ(chain_.readable()[0].length, before.length) << "the copy stays as it was checked";
    EXPECT_EQ(queue_.peek(chain_), Next::broken);
}

// Set-up.

TEST_F(VirtqueueTest, RingsMustBeAlignedAndInMemory) {
    const auto enabled_with = [&](Gpa descriptors, Gpa available, Gpa used) {
        queue_.reset();
        queue_.set_descriptors(descriptors);
        queue_.set_available(available);
        queue_.set_used(used);
        return queue_.enable(kAll);
    };
    const Gpa end{kRam};
    EXPECT_TRUE(enabled_with({0x1000}, {0x2000}, {0x3000}));
    EXPECT_FALSE(enabled_with({0x1008}, {0x2000}, {0x3000}));
    EXPECT_FALSE(enabled_with({0x1000}, {0x2001}, {0x3000}));
    EXPECT_FALSE(enabled_with({0x1000}, {0x2000}, {0x3002}));
    EXPECT_FALSE(enabled_with({end.value - 0xf0}, {0x2000}, {0x3000}));
    EXPECT_FALSE(enabled_with({0x1000}, {end.value - 4}, {0x3000}));
    EXPECT_FALSE(enabled_with({0x1000}, {0x2000}, {~uint64_t{3}}));
    EXPECT_FALSE(queue_.enabled());
}

TEST_F(VirtqueueTest, SizesAreCheckedAndFixedWhileEnabled) {
    queue_.reset();
    EXPECT_EQ(queue_.size(), 16U);
    for (const uint16_t size : {uint16_t{0}, uint16_t{32}, uint16_t{0xffff}})
        queue_.set_size(size);
    EXPECT_EQ(queue_.size(), 16U);
    queue_.set_size(3);
    EXPECT_FALSE(queue_.enable(kAll)) << "2.7: a split queue's size is a power of two";
    ASSERT_TRUE(enable(kAll));
    queue_.set_size(16);
    queue_.set_descriptors({0});
    EXPECT_EQ(queue_.size(), kSize);
    EXPECT_EQ(queue_.descriptors(), driver_.descriptors());
}

// Notifications.

TEST_F(VirtqueueTest, InterruptsFollowTheFlagWithoutEventIndex) {
    ASSERT_TRUE(enable(0));
    EXPECT_FALSE(queue_.take_interrupt()) << "nothing was used";
    driver_.add({{{0x100}, 1}});
    driver_.add({{{0x100}, 1}});
    serve_one();
    EXPECT_TRUE(queue_.take_interrupt());
    EXPECT_FALSE(queue_.take_interrupt());
    driver_.set_available_flags(virtio::kAvailNoInterrupt);
    serve_one();
    EXPECT_FALSE(queue_.take_interrupt());
}

// 2.7.7.2 and 2.7.10.
TEST_F(VirtqueueTest, InterruptsFollowTheEventIndex) {
    for (int i = 0; i < 4; ++i)
        driver_.add({{{0x100}, 1}});
    driver_.set_used_event(2);
    serve_one();
    EXPECT_FALSE(queue_.take_interrupt());
    serve_one();
    EXPECT_FALSE(queue_.take_interrupt());
    serve_one();
    EXPECT_TRUE(queue_.take_interrupt());
    serve_one();
    EXPECT_FALSE(queue_.take_interrupt());
}

TEST_F(VirtqueueTest, ArmingAsksForTheNextBuffer) {
    driver_.add({{{0x100}, 1}});
    EXPECT_TRUE(queue_.arm_notification()) << "one is waiting";
    serve_one();
    EXPECT_FALSE(queue_.arm_notification());
    EXPECT_EQ(driver_.available_event(), 1U);
}

// Saved state.

TEST_F(VirtqueueTest, GoesOnAfterRestore) {
    for (int i = 0; i < 3; ++i)
        driver_.add({{{0x100}, 1}});
    serve_one();
    Virtqueue copy(memory_, 16);
    ASSERT_TRUE(copy.restore(queue_.state(), kAll));
    ASSERT_EQ(copy.peek(chain_), Next::chain);
    EXPECT_EQ(chain_.head(), 1U);
    copy.pop();
    copy.push_used(chain_.head(), 0);
    EXPECT_EQ(driver_.used_index(), 2U);
}

TEST_F(VirtqueueTest, RefusesImpossibleState) {
    Virtqueue copy(memory_, 16);
    auto state = queue_.state();
    state.size = 12;
    EXPECT_FALSE(copy.restore(state, kAll));
    state.size = 32;
    EXPECT_FALSE(copy.restore(state, kAll));
    state = queue_.state();
    state.used = kRam;
    EXPECT_FALSE(copy.restore(state, kAll));
    EXPECT_FALSE(copy.enabled());
    EXPECT_EQ(copy.size(), 16U);
}

}  // namespace
}  // namespace banyan
