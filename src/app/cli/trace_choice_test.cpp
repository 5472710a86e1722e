#include "app/cli/trace_choice.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(TraceChoice, WordsMayBeGivenTogetherOrOneByOne) {
    const auto none = parse_traces({});
    const auto one = parse_traces({"jit-map"});
    const auto list = parse_traces({"jit,jit-map"});
    const auto apart = parse_traces({"jit", "jit-map"});

    ASSERT_TRUE(none && one && list && apart);
    EXPECT_FALSE(none->jit || none->jit_map || none->help);
    EXPECT_TRUE(one->jit_map && !one->jit);
    EXPECT_TRUE(list->jit && list->jit_map && !list->help);
    EXPECT_TRUE(apart->jit && apart->jit_map);
}

TEST(TraceChoice, WrongWordsAreTold) {
    for (const char* text : {"", "jits", "jit,", ",jit", "jit, jit-map", "JIT"}) {
        const auto choice = parse_traces({text});

        ASSERT_FALSE(choice) << text;
        EXPECT_NE(choice.error().text().find("give one of jit, jit-map, help"),
                  std::string_view::npos);
    }
}

TEST(TraceChoice, HelpNamesAllWords) {
    EXPECT_TRUE(parse_traces({"help"})->help);
    for (const char* word : {"  jit ", "  jit-map ", "  help "})
        EXPECT_NE(trace_help().find(word), std::string::npos);
}

}  // namespace
}  // namespace banyan
