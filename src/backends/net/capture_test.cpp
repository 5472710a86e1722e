#include "backends/net/capture.hpp"

#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "backends/net/pcap.hpp"
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
    auto capture = Capture::create(path, std::move(made));
    ASSERT_TRUE(capture) << capture.error().text();
    Taker client;
    ASSERT_TRUE((*capture)->start(client));
    const std::string sent = "sent frame";
    const auto halves = {std::as_bytes(std::span(sent)).first(4),
                         std::as_bytes(std::span(sent)).subspan(4)};
    const NetFrame frame{std::span(halves.begin(), 2), sent.size(), {}};
    EXPECT_EQ((*capture)->send(std::span(&frame, 1)), 1U);
    network.room = 0;
    EXPECT_EQ((*capture)->send(std::span(&frame, 1)), 0U) << "and so it is not recorded";
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
    const auto capture = Capture::create("/nowhere/x.pcap", std::make_unique<FakeNetwork>());
    ASSERT_FALSE(capture);
    EXPECT_NE(capture.error().text().find("'/nowhere/x.pcap'"), std::string_view::npos);
}

}  // namespace
}  // namespace banyan
