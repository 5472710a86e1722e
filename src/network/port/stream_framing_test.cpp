#include "network/port/stream_framing.hpp"

#include <gtest/gtest.h>

#include "network/packets/testing/packet_builder.hpp"

namespace banyan {
namespace {

void append_framed(FrameBytes& stream, const FrameBytes& frame) {
    append_object(stream, StreamLength(static_cast<uint32_t>(frame.size())));
    stream.insert(stream.end(), frame.begin(), frame.end());
}

std::vector<FrameBytes> unframe(const FrameBytes& stream, size_t piece, bool& ok) {
    StreamUnframer unframer;
    std::vector<FrameBytes> frames;
    ok = true;
    for (size_t at = 0; at < stream.size() && ok;) {
        const size_t count = std::min({piece, stream.size() - at, unframer.room().size()});
        std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(at), count,
                    unframer.room().begin());
        ok = unframer.received(
            count, [&](auto frame) { frames.emplace_back(frame.begin(), frame.end()); });
        at += count;
    }
    return frames;
}

TEST(StreamUnframer, FindsFramesHoweverTheyArrive) {
    FrameBytes stream;
    const std::vector<FrameBytes> frames{counting_bytes(60),
                                         {},
                                         counting_bytes(kLargestNetFrame),
                                         counting_bytes(1514),
                                         counting_bytes(kLargestNetFrame)};
    for (const FrameBytes& frame : frames)
        append_framed(stream, frame);
    for (const size_t piece : {size_t{1}, size_t{3}, size_t{4096}, stream.size()}) {
        bool ok = false;
        EXPECT_EQ(unframe(stream, piece, ok), frames) << piece;
        EXPECT_TRUE(ok);
    }
}

TEST(StreamUnframer, GivesUpAtALengthThatNoFrameHas) {
    FrameBytes stream;
    append_framed(stream, counting_bytes(60));
    append_object(stream, StreamLength(static_cast<uint32_t>(kLargestNetFrame) + 1));
    bool ok = true;
    EXPECT_EQ(unframe(stream, 7, ok).size(), 1U);
    EXPECT_FALSE(ok);
}

}  // namespace
}  // namespace banyan
