#include "network/packets/addresses.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(Addresses, HaveTexts) {
    EXPECT_EQ(to_text(MacAddress{{0x52, 0x54, 0, 0x12, 0xAB, 6}}), "52:54:00:12:ab:06");
    EXPECT_EQ(to_text(Ipv4Address{0x0A0102FF}), "10.1.2.255");
    EXPECT_EQ(parse_mac("52:54:00:12:AB:06"), (MacAddress{{0x52, 0x54, 0, 0x12, 0xAB, 6}}));
    EXPECT_EQ(parse_ipv4("10.1.2.255"), Ipv4Address{0x0A0102FF});
    EXPECT_EQ(to_text(*parse_subnet("10.1.2.0/24")), "10.1.2.0/24");
}

TEST(Addresses, RefuseWhatIsNone) {
    for (const char* text : {"", "52:54:00:12:AB", "52:54:00:12:AB:0", "5254:00:12:AB:06:",
                             "52:54:00:12:AB:0G", "52-54-00-12-AB-06", "52:54:00:12:AB:06:07"})
        EXPECT_FALSE(parse_mac(text)) << text;
    for (const char* text : {"", "10", "10.0.0", "10.0.0.256", "10.0.0.1.2", "10.0.0.-1", "a.b.c.d",
                             "10.0.0.1 ", "1000.0.0.1"})
        EXPECT_FALSE(parse_ipv4(text)) << text;
    for (const char* text : {"10.0.0.0", "10.0.0.0/33", "10.0.0.1/24", "10.0.0.0/", "/24"})
        EXPECT_FALSE(parse_subnet(text)) << text;
}

TEST(Ipv4Subnet, KnowsItsAddresses) {
    const Ipv4Subnet subnet = *parse_subnet("10.1.2.0/24");
    EXPECT_TRUE(subnet.contains(*parse_ipv4("10.1.2.77")));
    EXPECT_FALSE(subnet.contains(*parse_ipv4("10.1.3.77")));
    EXPECT_EQ(subnet.host(1), *parse_ipv4("10.1.2.1"));
    EXPECT_EQ(subnet.broadcast(), *parse_ipv4("10.1.2.255"));
    EXPECT_TRUE(subnet.overlaps(*parse_subnet("10.0.0.0/8")));
    EXPECT_FALSE(subnet.overlaps(*parse_subnet("10.1.3.0/24")));
    EXPECT_TRUE(parse_subnet("0.0.0.0/0")->contains(*parse_ipv4("10.1.3.77")));
}

}  // namespace
}  // namespace banyan
