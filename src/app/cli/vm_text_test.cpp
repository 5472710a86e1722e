#include "app/cli/vm_text.hpp"

#include <gtest/gtest.h>

#include "app/cli/event_stream.hpp"

namespace banyan {
namespace {

using Json = nlohmann::ordered_json;

Json summary() {
    return {{"name", "debian"}, {"pid", 12U},         {"state", "running"},    {"engine", "soft"},
            {"cpus", 2U},       {"memory", 1U << 30}, {"uptime_seconds", 65.5}};
}

TEST(VmText, Durations) {
    EXPECT_EQ(duration_text(0.9), "0 s");
    EXPECT_EQ(duration_text(59), "59 s");
    EXPECT_EQ(duration_text(65.5), "1 min 5 s");
    EXPECT_EQ(duration_text(3600 + 120), "1 h 2 min");
    EXPECT_EQ(duration_text(50 * 3600), "2 d 2 h");
    EXPECT_EQ(duration_text(-1), "0 s");
}

TEST(VmText, AListHasALineForEach) {
    const std::string text = list_text(Json::array({summary()}));
    EXPECT_TRUE(text.starts_with("NAME")) << text;
    EXPECT_NE(text.find("\ndebian                     12  running    soft       2"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("1 min 5 s\n"), std::string::npos);
}

TEST(VmText, ShowsDisksWithWhatTheyDid) {
    Json facts = summary();
    facts["uuid"] = "u";
    facts["disks"] = Json::array({{{"name", "disk0"},
                                   {"file", "a\nb.img"},
                                   {"format", "raw"},
                                   {"size", 4096U},
                                   {"read_only", true},
                                   {"counts", {{"rd_bytes", 1024U}, {"wr_bytes", 0U}}}}});
    facts["published"] = Json::array({"127.0.0.1:1:2\n", 7});
    const std::string text = show_text(facts);
    EXPECT_NE(text.find("uuid: u\n"), std::string::npos);
    EXPECT_NE(text.find("  disk0: a?b.img, raw, "), std::string::npos) << text;
    EXPECT_NE(text.find(", read only; "), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("published:\n  127.0.0.1:1:2?\n")) << text;
}

TEST(VmText, WhatIsMissingOrOfAnotherKindIsEmpty) {
    EXPECT_NO_THROW(show_text(Json{{"name", 1}, {"disks", Json::array({1, Json::object()})}}));
    EXPECT_NO_THROW(list_text(Json::array({Json::object()})));
}

TEST(VmText, Endings) {
    EXPECT_EQ(ending_text({0, "guest-shutdown", ""}), "it powered off");
    EXPECT_EQ(ending_text({3, "guest-panic", "the guest crashed"}),
              "it ended with status 3: the guest crashed");
    EXPECT_EQ(ending_text({0, "guest-reset", ""}), "it ended with status 0 (guest-reset)");
}

TEST(EventText, IsALine) {
    const Json event{{"timestamp", {{"seconds", 1'700'000'000}, {"microseconds", 123'456}}},
                     {"event", "SHUTDOWN"},
                     {"data", {{"guest", true}, {"__org.banyan_status", 0}}}};
    EXPECT_EQ(event_text("debian", event),
              "2023-11-14T22:13:20.123Z debian SHUTDOWN guest=true status=0\n");
    EXPECT_EQ(event_text("debian", Json::object()), "1970-01-01T00:00:00.000Z debian ?\n");
}

}  // namespace
}  // namespace banyan
