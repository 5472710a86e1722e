#include "network/port/frame_ring.hpp"

#include <gtest/gtest.h>
#include <thread>

#include "network/packets/testing/packet_builder.hpp"

namespace banyan {
namespace {

class FrameRingTest : public testing::Test {
protected:
    using Pushed = RingProducer::Status;
    using Next = RingConsumer::Status;

    Pushed push(const FrameBytes& bytes, NetFrameInfo info = {}) {
        return producer_.push(WholeFrame(bytes, info).get());
    }
    // Publishes, and takes the next frame out.
    FrameBytes pass(const FrameBytes& bytes) {
        EXPECT_EQ(push(bytes), Pushed::ok);
        producer_.publish();
        RingFrame frame;
        EXPECT_EQ(consumer_.next(frame), Next::ok);
        const FrameBytes copy = whole(frame.get());
        consumer_.release(frame.end);
        return copy;
    }

    RingControl control_;
    FrameBytes data_ = FrameBytes(kLeastRing);
    RingProducer producer_{{&control_, data_}};
    RingConsumer consumer_{{&control_, data_}};
};

TEST_F(FrameRingTest, PassesFramesAndWhatBelongsToThem) {
    const NetFrameInfo info{.needs_checksum = true,
                            .checksum_valid = true,
                            .checksum_start = 34,
                            .checksum_offset = 16,
                            .segmentation = NetFrameInfo::Segmentation::tcp6,
                            .ecn = true,
                            .segment_size = 1448,
                            .header_length = 54};
    ASSERT_EQ(push(counting_bytes(61), info), Pushed::ok);
    RingFrame frame;
    EXPECT_EQ(consumer_.next(frame), Next::empty) << "not published";
    producer_.publish();
    ASSERT_EQ(consumer_.next(frame), Next::ok);
    EXPECT_EQ(whole(frame.get()), counting_bytes(61));
    EXPECT_TRUE(frame.info.needs_checksum && frame.info.checksum_valid && frame.info.ecn);
    EXPECT_EQ(frame.info.checksum_start, 34);
    EXPECT_EQ(frame.info.checksum_offset, 16);
    EXPECT_EQ(frame.info.segmentation, NetFrameInfo::Segmentation::tcp6);
    EXPECT_EQ(frame.info.segment_size, 1448);
    EXPECT_EQ(frame.info.header_length, 54);
    EXPECT_EQ(consumer_.next(frame), Next::empty);
}

TEST_F(FrameRingTest, GoesRoundWithFramesOfEverySize) {
    for (size_t size = 0; size <= kLargestNetFrame; size += 1 + size / 3) {
        for (int times = 0; times < 5; ++times)
            ASSERT_EQ(pass(counting_bytes(size)), counting_bytes(size)) << size;
    }
    for (int times = 0; times < 20; ++times)
        ASSERT_EQ(pass(counting_bytes(kLargestNetFrame)), counting_bytes(kLargestNetFrame));
}

TEST_F(FrameRingTest, IsFullAndHasRoomAgain) {
    const FrameBytes frame = counting_bytes(1000);
    size_t pushed = 0;
    while (push(frame) == Pushed::ok)
        ++pushed;
    EXPECT_EQ(pushed, kLeastRing / 1024);
    EXPECT_EQ(producer_.used(), kLeastRing);
    producer_.publish();
    EXPECT_FALSE(producer_.wait_for_room());
    RingFrame first;
    ASSERT_EQ(consumer_.next(first), Next::ok);
    EXPECT_TRUE(consumer_.release(first.end)) << "the producer waits";
    EXPECT_FALSE(consumer_.release(first.end)) << "and was woken";
    EXPECT_EQ(push(frame), Pushed::ok);
    EXPECT_EQ(push(frame), Pushed::full);
}

TEST_F(FrameRingTest, LooksAgainBeforeItSleeps) {
    EXPECT_TRUE(consumer_.sleep());
    push(counting_bytes(60));
    EXPECT_TRUE(producer_.publish()) << "the consumer is to be woken";
    EXPECT_FALSE(consumer_.sleep());
    push(counting_bytes(60));
    EXPECT_FALSE(producer_.publish()) << "it is awake";
}

TEST_F(FrameRingTest, KeepsWhatWasNotReleased) {
    push(counting_bytes(60));
    push(counting_bytes(70));
    push(counting_bytes(80));
    producer_.publish();
    RingFrame one, two, three;
    consumer_.next(one);
    consumer_.next(two);
    consumer_.next(three);
    consumer_.release(two.end);
    RingFrame again;
    ASSERT_EQ(consumer_.next(again), Next::ok);
    EXPECT_EQ(again.size, 80U);
    consumer_.rewind();
    ASSERT_EQ(consumer_.next(again), Next::ok);
    EXPECT_EQ(again.size, 80U);
}

TEST_F(FrameRingTest, NoticesAProducerThatLies) {
    RingFrame frame;
    control_.producer.position = kLeastRing + 16;
    EXPECT_EQ(consumer_.next(frame), Next::broken) << "more than there can be";
    control_.producer.position = uint64_t{0} - 16;
    EXPECT_EQ(consumer_.next(frame), Next::broken) << "it went back";
    control_.producer.position = 8;
    EXPECT_EQ(consumer_.next(frame), Next::broken) << "half a record";
    control_.producer.position = 32;
    RingRecord record{.size = 17};
    std::memcpy(data_.data(), &record, sizeof(record));
    EXPECT_EQ(consumer_.next(frame), Next::broken) << "longer than what is there";
    record.size = kLargestNetFrame + 1;
    control_.producer.position = kLeastRing;
    std::memcpy(data_.data(), &record, sizeof(record));
    EXPECT_EQ(consumer_.next(frame), Next::broken) << "longer than any frame";
    record = {.size = 16, .segmentation = 4};
    std::memcpy(data_.data(), &record, sizeof(record));
    EXPECT_EQ(consumer_.next(frame), Next::broken);
}

TEST_F(FrameRingTest, NoticesAConsumerThatLies) {
    control_.consumer.position = 16;
    EXPECT_EQ(push(counting_bytes(60)), Pushed::broken) << "it consumed what was not produced";
    control_.consumer.position = uint64_t{0} - kLeastRing - 16;
    EXPECT_EQ(push(counting_bytes(60)), Pushed::broken);
    EXPECT_TRUE(producer_.wait_for_room()) << "nobody waits for it";
}

// Two threads: every frame arrives, in order and whole, whoever has to wait for whom.
TEST_F(FrameRingTest, CarriesFramesBetweenThreads) {
    constexpr unsigned kFrames = 20'000;
    std::thread sender([this] {
        for (unsigned i = 0; i < kFrames; ++i) {
            const FrameBytes frame(60 + i % 3000, static_cast<std::byte>(i));
            while (push(frame) == Pushed::full) {
                producer_.publish();
                std::this_thread::yield();
            }
            if (i % 5 == 0) producer_.publish();
        }
        producer_.publish();
    });
    unsigned received = 0;
    while (received < kFrames) {
        RingFrame frame;
        const Next status = consumer_.next(frame);
        ASSERT_NE(status, Next::broken);
        if (status == Next::empty) {
            std::this_thread::yield();
            continue;
        }
        ASSERT_EQ(whole(frame.get()),
                  FrameBytes(60 + received % 3000, static_cast<std::byte>(received)));
        consumer_.release(frame.end);
        ++received;
    }
    sender.join();
}

}  // namespace
}  // namespace banyan
