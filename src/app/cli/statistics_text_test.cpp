#include "app/cli/statistics_text.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(StatisticsText, SumsTheVcpus) {
    EXPECT_TRUE(sum_of({}).empty());

    const Statistics sum =
        sum_of({{{"instructions", 5}, {"entries", 1}}, {{"instructions", 7}, {"entries", 2}}});

    EXPECT_EQ(value_of(sum, "instructions"), 12U);
    EXPECT_EQ(value_of(sum, "entries"), 3U);
    EXPECT_EQ(value_of(sum, "exits"), 0U);
}

TEST(StatisticsText, TheTableHasARateForAllButInstructions) {
    const auto lines = statistics_table({{"instructions", 2'000'000}, {"tlb_fills", 5}});

    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[1], "instructions                            2000000");
    EXPECT_EQ(lines[2], "tlb fills                                     5                     2.50");
}

TEST(StatisticsText, NothingHasRunYet) {
    const auto lines = statistics_table({{"instructions", 0}, {"tlb_fills", 0}});

    EXPECT_NE(lines[2].find(" 0.00"), std::string::npos);
    EXPECT_NE(statistics_line({}, {}, 0).find("0.0 M instructions/s"), std::string::npos);
}

TEST(StatisticsText, ALineTellsWhatIsNew) {
    const Statistics before{{"instructions", 1'000'000},
                            {"entries", 100},
                            {"exits_for_links", 50},
                            {"translated_regions", 10},
                            {"translated_code_bytes", 1024}};
    const Statistics after{{"instructions", 5'000'000},
                           {"entries", 500},
                           {"exits_for_links", 90},
                           {"translated_regions", 12},
                           {"translated_code_bytes", 4096}};

    const std::string line = statistics_line(before, after, 2);

    EXPECT_TRUE(line.starts_with(
        "2.0 M instructions/s; translated 2 regions, 3 KiB; per million instructions: "
        "exits 100 (event 0, fault 0, lookup 0, link 10,"))
        << line;
}

}  // namespace
}  // namespace banyan
