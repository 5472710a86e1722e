#include "backends/net/capture.hpp"

#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <sys/socket.h>

#include "backends/net/frame_record.hpp"
#include "backends/net/pcap.hpp"
#include "host/posix/unix_address.hpp"
#include "vm/testing/fake_network.hpp"

namespace banyan {
namespace {

class Taker final : public NetClient {
public:
    size_t on_frames(std::span<const NetFrame> frames) override {
        return std::min<size_t>(frames.size(), 1);
    }
};

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Capture, RecordsWhatPassesInBothDirections) {
    const std::string path = testing::TempDir() + "capture_test.pcap";
    auto made = std::make_unique<FakeNetwork>();
    FakeNetwork& network = *made;
    Capture capture(std::move(made));
    const auto recorded = capture.record_to(path);
    ASSERT_TRUE(recorded) << recorded.error().text();
    Taker client;
    ASSERT_TRUE(capture.start(client));
    const std::string sent = "sent frame";
    const auto halves = {std::as_bytes(std::span(sent)).first(4),
                         std::as_bytes(std::span(sent)).subspan(4)};
    const NetFrame frame{std::span(halves.begin(), 2), sent.size(), {}};
    EXPECT_EQ(capture.send(std::span(&frame, 1)), 1U);
    network.room = 0;
    EXPECT_EQ(capture.send(std::span(&frame, 1)), 0U) << "and so it is not recorded";
    EXPECT_EQ(network.deliver({"received", "not taken"}), 1U);

    const std::string file = contents(path);
    ASSERT_EQ(file.size(), 24U + 16 + sent.size() + 16 + 8);
    EXPECT_EQ(file.substr(0, 4), "\x4d\x3c\xb2\xa1");
    pcap::RecordHeader record;
    std::memcpy(&record, file.data() + 24, sizeof(record));
    EXPECT_EQ(record.captured_length, sent.size());
    EXPECT_EQ(record.original_length, sent.size());
    EXPECT_LT(record.nanoseconds, 1'000'000'000U);
    EXPECT_EQ(file.substr(40, sent.size()), sent);
    EXPECT_EQ(file.substr(file.size() - 8), "received");
    std::remove(path.c_str());
}

TEST(Capture, SaysThatAFileCannotBeMade) {
    Capture capture(std::make_unique<FakeNetwork>());
    const auto recorded = capture.record_to("/nowhere/x.pcap");
    ASSERT_FALSE(recorded);
    EXPECT_NE(recorded.error().text().find("'/nowhere/x.pcap'"), std::string_view::npos);
}

// Who captures: a socket that listens, and the poller's calls by hand.
class FrameReader final : public Poller {
public:
    FrameReader() : listener_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        std::remove(path.c_str());
        const UnixAddress address(path);
        EXPECT_EQ(::bind(listener_.get(), address.get(), address.size()), 0);
        EXPECT_EQ(::listen(listener_.get(), 8), 0);
    }
    ~FrameReader() { std::remove(path.c_str()); }
    void accept() { reader.reset(::accept(listener_.get(), nullptr, nullptr)); }
    // The frame that comes next, and how many were lost before it.
    std::pair<std::string, uint32_t> next() const {
        FrameRecordHeader header;
        EXPECT_EQ(::recv(reader.get(), &header, sizeof(header), MSG_WAITALL), 16);
        std::string frame(header.size, '\0');
        EXPECT_EQ(::recv(reader.get(), frame.data(), frame.size(), MSG_WAITALL),
                  static_cast<ssize_t>(frame.size()));
        return {frame, header.lost};
    }

    Result<void> watch(int, Readiness interest, PollClient& client) override {
        wanted = interest;
        client_ = &client;
        return {};
    }
    void set_interest(int, Readiness interest) override { wanted = interest; }
    void unwatch(int) override { client_ = nullptr; }
    void turn(Readiness ready) const {
        if (client_ != nullptr) client_->on_ready(ready);
    }

    const std::string path = testing::TempDir() + "capture_test.socket";
    UniqueFd reader;
    Readiness wanted;

private:
    UniqueFd listener_;
    PollClient* client_ = nullptr;
};

size_t send_frame(Capture& capture, const std::string& text) {
    const auto part = std::as_bytes(std::span(text));
    const NetFrame frame{std::span(&part, 1), text.size(), {}};
    return capture.send(std::span(&frame, 1));
}

TEST(Capture, StreamsToWhoListensUntilHeGoes) {
    FrameReader reader;
    Capture capture(std::make_unique<FakeNetwork>());
    send_frame(capture, "before");
    ASSERT_TRUE(capture.stream_to(reader, reader.path));
    reader.accept();
    send_frame(capture, "leaf");
    EXPECT_EQ(reader.next(), (std::pair<std::string, uint32_t>("leaf", 0)));
    reader.reader.reset();
    reader.turn({.readable = true});
    for (size_t i = 0; i < Capture::kMostStreams; ++i) {
        send_frame(capture, "nobody hears it");
        ASSERT_TRUE(capture.stream_to(reader, reader.path)) << "the one that went makes room";
    }
    EXPECT_EQ(capture.stream_to(reader, reader.path).error().code(), ErrorCode::busy);
}

TEST(Capture, CountsWhatAReaderHasNoTimeFor) {
    FrameReader reader;
    Capture capture(std::make_unique<FakeNetwork>());
    ASSERT_TRUE(capture.stream_to(reader, reader.path));
    reader.accept();
    constexpr size_t kFrames = 100;
    const std::string large(60'000, 'x');
    for (size_t i = 0; i < kFrames; ++i)
        EXPECT_EQ(send_frame(capture, large), 1U) << "the VM does not wait";
    EXPECT_TRUE(reader.wanted.writable);
    size_t read = 0;
    uint32_t lost = 0;
    const auto take = [&] {
        const auto [frame, before] = reader.next();
        EXPECT_EQ(frame, large);
        lost += before;
        ++read;
    };
    take();
    while (reader.wanted.writable) {
        reader.turn({.writable = true});
        take();
    }
    EXPECT_EQ(lost, 0U) << "it is told with the next";
    send_frame(capture, large);
    while (read + lost < kFrames + 1)
        take();
    EXPECT_GT(lost, 0U);
    EXPECT_GT(read, 60U);
}

TEST(Capture, SaysThatNobodyListens) {
    FrameReader reader;
    Capture capture(std::make_unique<FakeNetwork>());
    const auto captured = capture.stream_to(reader, "/nowhere/socket");
    ASSERT_FALSE(captured);
    EXPECT_EQ(captured.error().code(), ErrorCode::not_found);
}

}  // namespace
}  // namespace banyan
