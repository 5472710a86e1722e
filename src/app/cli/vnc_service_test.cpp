#include "app/cli/vnc_service.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(VncChoice, IsReadAsPeopleWriteIt) {
    EXPECT_EQ(*parse_vnc("vnc"), VncChoice{});
    EXPECT_EQ(*parse_vnc("vnc=0.0.0.0:5901"), (VncChoice{"0.0.0.0", 5901, 5901, ""}));
    EXPECT_EQ(*parse_vnc("vnc=[::1]:0"), (VncChoice{"::1", 0, 0, ""}));
    EXPECT_EQ(*parse_vnc("vnc,password=f"), (VncChoice{"127.0.0.1", 5900, 5999, "f"}));
}

TEST(VncChoice, WhatIsNoneIsRefused) {
    for (const char* const text : {"", "spice", "vnc=", "vnc=host", "vnc=unix:/x", "vnc=a:70000",
                                   "vnc,fly=1", "vnc,password=", "vncx"})
        EXPECT_FALSE(parse_vnc(text)) << text;
}

}  // namespace
}  // namespace banyan
