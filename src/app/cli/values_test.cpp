#include "app/cli/values.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

template <class T>
std::string error_of(const Result<T>& result) {
    if (result) return "none";
    EXPECT_EQ(result.error().code(), ErrorCode::invalid_argument);
    return std::string(result.error().text());
}

TEST(Values, SizesTakeUnits) {
    EXPECT_EQ(parse_size("--memory", "4096"), 4096U);
    EXPECT_EQ(parse_size("--memory", "3K"), 3U << 10);
    EXPECT_EQ(parse_size("--memory", "512M"), 512U << 20);
    EXPECT_EQ(parse_size("--memory", "2g"), uint64_t{2} << 30);
    EXPECT_EQ(parse_size("--memory", "1T"), uint64_t{1} << 40);
}

TEST(Values, WhatIsNoSizeIsRefused) {
    for (const std::string_view text :
         {"", "M", "-1", "1.5G", "0x10", "12Q", "1 G", "1GB", " 1G"}) {
        EXPECT_EQ(error_of(parse_size("--memory", text)),
                  "--memory '" + std::string(text) +
                      "': not a size; give a whole number with K, M, G or T, such as 512M");
    }
    EXPECT_NE(error_of(parse_size("--memory", "18446744073709551615T")).find("too large"),
              std::string::npos);
    EXPECT_NE(error_of(parse_size("--memory", "16777216T")).find("too large"), std::string::npos);
}

TEST(Values, NumbersAreDecimalOrHexadecimal) {
    EXPECT_EQ(parse_number("--debug-exit", "0x501", 0xFFFF), 0x501U);
    EXPECT_EQ(parse_number("--debug-exit", "1281", 0xFFFF), 1281U);
    EXPECT_EQ(parse_number("--debug-exit", "0", 0xFFFF), 0U);
    EXPECT_EQ(error_of(parse_number("--debug-exit", "0x10000", 0xFFFF)),
              "--debug-exit '0x10000': not a number from 0 to 65535; give one");
    EXPECT_NE(error_of(parse_number("--cpus", "two", 255)), "none");
    EXPECT_NE(error_of(parse_number("--cpus", "0x", 255)), "none");
    EXPECT_NE(error_of(parse_number("--cpus", "-1", 255)), "none");
    EXPECT_NE(error_of(parse_number("--cpus", "", 255)), "none");
    EXPECT_NE(error_of(parse_number("--cpus", "99999999999999999999", 255)), "none");
}

TEST(Values, ChoicesListWhatThereIs) {
    EXPECT_EQ(parse_switch("--rng", "on"), true);
    EXPECT_EQ(parse_switch("--rng", "off"), false);
    EXPECT_EQ(error_of(parse_switch("--rng", "yes")),
              "--rng 'yes': not known; give one of on, off");
}

TEST(Values, SettingsFollowTheFile) {
    const auto parts = parse_settings("--disk", "a=b.img,format=raw,serial=x=y,empty=");

    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->file, "a=b.img");
    const std::vector<std::pair<std::string, std::string>> expected{
        {"format", "raw"}, {"serial", "x=y"}, {"empty", ""}};
    EXPECT_EQ(parts->settings, expected);
}

TEST(Values, MalformedSettingsAreRefused) {
    EXPECT_NE(error_of(parse_settings("--disk", "")).find("no file is named"), std::string::npos);
    EXPECT_NE(error_of(parse_settings("--disk", ",readonly=on")).find("no file is named"),
              std::string::npos);
    EXPECT_NE(error_of(parse_settings("--disk", "x,readonly")).find("'readonly': not of the form"),
              std::string::npos);
    EXPECT_NE(error_of(parse_settings("--disk", "x,=on")).find("not of the form"),
              std::string::npos);
    EXPECT_NE(error_of(parse_settings("--disk", "x,")).find("not of the form"), std::string::npos);
}

}  // namespace
}  // namespace banyan
