#include "host/posix/host_error.hpp"

#include <cerrno>
#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(HostError, SaysWhatWhyAndWhatToDo) {
    const auto error = host_fail(ENOENT, "open kernel 'x'", "check the path").value();

    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_EQ(error.text(), "open kernel 'x': No such file or directory; check the path");
}

TEST(HostError, NamesStayOnOneLine) {
    EXPECT_EQ(quote_name("a\nb\x1b[2J"), "'a?b?[2J'");
}

TEST(HostError, LongNamesAreCutInTheMiddle) {
    const std::string name = "/start/" + std::string(500, 'x') + "/end.img";

    const std::string text = quote_name(name);

    EXPECT_LT(text.size(), 110U);
    EXPECT_TRUE(text.starts_with("'/start/"));
    EXPECT_TRUE(text.ends_with("/end.img'"));
}

}  // namespace
}  // namespace banyan
