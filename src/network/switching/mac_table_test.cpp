#include "network/switching/mac_table.hpp"

#include <gtest/gtest.h>

#include "network/packets/testing/packet_builder.hpp"

namespace banyan {
namespace {

TEST(MacTable, FindsWhatItLearned) {
    MacTable table(4);
    EXPECT_TRUE(table.learn(test_mac(1), 1, 2, 0));
    EXPECT_EQ(table.find(test_mac(1), 1), 2);
    EXPECT_FALSE(table.find(test_mac(1), 2)) << "another VLAN";
    EXPECT_FALSE(table.find(test_mac(2), 1));
    ASSERT_EQ(table.entries().size(), 1U);
    EXPECT_EQ(table.entries()[0].mac, test_mac(1));
    EXPECT_EQ(table.entries()[0].vlan, 1);
}

TEST(MacTable, FollowsAMove) {
    MacTable table(4);
    table.learn(test_mac(1), 1, 2, 0);
    EXPECT_TRUE(table.learn(test_mac(1), 1, 3, 1));
    EXPECT_EQ(table.find(test_mac(1), 1), 3);
    table.forget_port(2);
    EXPECT_EQ(table.find(test_mac(1), 1), 3);
    table.forget_port(3);
    EXPECT_FALSE(table.find(test_mac(1), 1));
}

TEST(MacTable, ForgetsTheSilent) {
    MacTable table(4);
    table.learn(test_mac(1), 1, 2, 0);
    table.learn(test_mac(2), 1, 2, 0);
    table.learn(test_mac(2), 1, 2, 5);
    table.forget_silent(MacTable::kAgeingNs);
    EXPECT_FALSE(table.find(test_mac(1), 1));
    EXPECT_EQ(table.find(test_mac(2), 1), 2);
}

TEST(MacTable, IsBoundedForEachPort) {
    MacTable table(4);
    for (unsigned i = 0; i < MacTable::kMostOfPort; ++i)
        EXPECT_TRUE(table.learn(test_mac(static_cast<uint8_t>(i)), 1, 2, 0));
    EXPECT_FALSE(table.learn(test_mac(200), 1, 2, 0));
    EXPECT_TRUE(table.learn(test_mac(201), 1, 3, 0)) << "another port has its own share";
    EXPECT_FALSE(table.learn(test_mac(201), 1, 2, 0)) << "nor does it take others' addresses";
    table.forget_silent(MacTable::kAgeingNs);
    EXPECT_TRUE(table.learn(test_mac(200), 1, 2, MacTable::kAgeingNs));
}

}  // namespace
}  // namespace banyan
