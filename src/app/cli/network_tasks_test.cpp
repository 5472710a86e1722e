#include "app/cli/network_tasks.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

NetworkCommandOptions lab() {
    NetworkCommandOptions options;
    options.name = "lab";
    return options;
}

TEST(NetworkOptions, MakeADefinition) {
    NetworkCommandOptions options = lab();
    options.subnet = "10.1.2.0/24";
    options.rate = "10M";
    options.vlans = {"web=10"};
    options.trunks = {"router=10,20", "web=30"};
    const auto network = parse_network(options, {});
    ASSERT_TRUE(network) << network.error().text();
    EXPECT_EQ(to_text(network->subnet), "10.1.2.0/24");
    EXPECT_EQ(network->bytes_per_second, 10U << 20);
    EXPECT_EQ(network->members.at("web"), (MemberDefinition{10, {30}}));
    EXPECT_EQ(network->members.at("router"), (MemberDefinition{0, {10, 20}}));
    EXPECT_FALSE(network->nat);
    EXPECT_TRUE(network->dhcp);
}

TEST(NetworkOptions, ChooseASubnetBesideTheOthers) {
    const auto first = parse_network(lab(), {});
    ASSERT_TRUE(first);
    const auto second = parse_network(lab(), {first->subnet});
    ASSERT_TRUE(second);
    EXPECT_FALSE(first->subnet.overlaps(second->subnet));
}

TEST(NetworkOptions, RefuseWhatIsWrong) {
    const auto is_refused = [](auto change) {
        NetworkCommandOptions options = lab();
        change(options);
        const auto network = parse_network(options, {});
        return !network && network.error().code() == ErrorCode::invalid_argument;
    };
    EXPECT_FALSE(is_refused([](auto&) {}));
    EXPECT_TRUE(is_refused([](auto& o) { o.nat = o.isolated = true; }));
    EXPECT_TRUE(is_refused([](auto& o) { o.name = "a/b"; }));
    EXPECT_TRUE(is_refused([](auto& o) { o.subnet = "10.1.2.3/24"; }));
    EXPECT_TRUE(is_refused([](auto& o) { o.subnet = "10.1.2.0/30"; }));
    EXPECT_TRUE(is_refused([](auto& o) { o.vlans = {"web"}; }));
    EXPECT_TRUE(is_refused([](auto& o) { o.vlans = {"web=0"}; }));
    EXPECT_TRUE(is_refused([](auto& o) { o.vlans = {"web=4095"}; }));
    EXPECT_TRUE(is_refused([](auto& o) { o.trunks = {"web=1,,2"}; }));
    EXPECT_TRUE(is_refused([](auto& o) { o.rate = "fast"; }));
}

}  // namespace
}  // namespace banyan
