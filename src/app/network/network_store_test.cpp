#include "app/network/network_store.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace banyan {
namespace {

class NetworkStoreTest : public testing::Test {
protected:
    NetworkStoreTest() {
        std::string pattern = (std::filesystem::temp_directory_path() / "banyan-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
    }
    ~NetworkStoreTest() override { std::filesystem::remove_all(root_); }
    NetworkStore open() { return NetworkStore::open_at(root_ + "/a/networks").value(); }
    NetworkDefinition office() {
        return {.name = "office",
                .subnet = *parse_subnet("10.1.2.0/24"),
                .nat = true,
                .private_members = true,
                .dhcp = false,
                .bytes_per_second = 1000,
                .members = {{"web", {10, {20, 30}}}}};
    }

    std::string root_;
};

TEST_F(NetworkStoreTest, KeepsNetworks) {
    EXPECT_TRUE(open().names().empty());
    ASSERT_TRUE(open().write(office()));
    EXPECT_EQ(open().names(), std::vector<std::string>{"office"});
    EXPECT_EQ(open().read("office").value(), office());
    EXPECT_EQ(open().subnets().size(), 1U);
    open().remove("office");
    EXPECT_FALSE(open().has("office"));
    EXPECT_EQ(open().read("office").error().code(), ErrorCode::not_found);
    EXPECT_EQ(open().read("../office").error().code(), ErrorCode::not_found);
}

TEST_F(NetworkStoreTest, RefusesWhatIsMalformed) {
    for (const char* text :
         {"", "[]", "{}", R"({"subnet": 5})", R"({"subnet": "10.1.2.0/24", "nat": 1})",
          R"({"subnet": "10.1.2.0/24", "members": []})",
          R"({"subnet": "10.1.2.0/24", "members": {"a": {"vlan": -1}}})",
          R"({"subnet": "10.1.2.0/24", "members": {"a": {"vlan": 5000}}})",
          R"({"subnet": "10.1.2.0/24", "members": {"a.b": {}}})", R"({"subnet": "10.1.2.0/30"})"})
        EXPECT_FALSE(network_from_json("lab", text)) << text;
    EXPECT_TRUE(network_from_json("lab", R"({"subnet": "10.1.2.0/24"})"));
}

TEST(NetworkName, IsAHostName) {
    for (const char* name : {"lab", "a-1", "LAB"})
        EXPECT_TRUE(is_network_name(name)) << name;
    for (const char* name :
         {"", "-a", "a.b", "a/b", "a b", "..", "a-name-that-is-longer-than-what-fits"})
        EXPECT_FALSE(is_network_name(name)) << name;
}

TEST(Subnets, AreChosenByName) {
    EXPECT_EQ(choose_subnet("lab", {}), choose_subnet("lab", {}));
    EXPECT_FALSE(choose_subnet("lab", {*parse_subnet("10.0.0.0/8")}));
}

}  // namespace
}  // namespace banyan
