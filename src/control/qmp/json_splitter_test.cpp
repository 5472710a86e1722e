#include "control/qmp/json_splitter.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace banyan::qmp {
namespace {

class JsonSplitterTest : public testing::Test {
protected:
    std::vector<std::string> values;
    std::vector<std::string> errors;
    JsonSplitter splitter{{.value = [this](std::string_view text) { values.emplace_back(text); },
                           .error = [this](std::string_view why) { errors.emplace_back(why); }}};
};

using Texts = std::vector<std::string>;

TEST_F(JsonSplitterTest, ValuesNeedNoLines) {
    splitter.feed(R"({"a":1}{"b":[2,{}]} [3]  )");
    EXPECT_EQ(values, (Texts{R"({"a":1})", R"({"b":[2,{}]})", "[3]"}));
}

TEST_F(JsonSplitterTest, ValuesMayHaveSeveral) {
    splitter.feed("{\n \"a\":\n1\n}\n");
    EXPECT_EQ(values, (Texts{"{\n \"a\":\n1\n}"}));
}

TEST_F(JsonSplitterTest, ComeInAnyPieces) {
    for (const char c : std::string(R"({"a":"}\"{\\"})"))
        splitter.feed({&c, 1});
    EXPECT_EQ(values, (Texts{R"({"a":"}\"{\\"})"}));
}

TEST_F(JsonSplitterTest, WordsEndWithTheirLine) {
    splitter.feed("hello world\n\r\n 12 \n{}");
    EXPECT_EQ(values, (Texts{"hello world", "12 ", "{}"}));
}

TEST_F(JsonSplitterTest, AStringWithoutEndEndsWithItsLine) {
    splitter.feed("{\"a\n{}");
    EXPECT_EQ(values, (Texts{"{\"a\n", "{}"}));
}

TEST_F(JsonSplitterTest, WhatIsTooLongIsDropped) {
    splitter.feed("{\"" + std::string(2 * JsonSplitter::kMostBytes, 'x'));
    splitter.feed("y\"}{}\n{}");
    EXPECT_EQ(errors, Texts{"JSON token size limit exceeded"});
    EXPECT_EQ(values, Texts{"{}"});
}

TEST_F(JsonSplitterTest, WhatIsTooDeepIsDropped) {
    splitter.feed(std::string(JsonSplitter::kMostNested, '['));
    EXPECT_TRUE(errors.empty());
    splitter.feed("[[]]\n{}");
    EXPECT_EQ(errors, Texts{"JSON nesting depth limit exceeded"});
    EXPECT_EQ(values, Texts{"{}"});
}

}  // namespace
}  // namespace banyan::qmp
