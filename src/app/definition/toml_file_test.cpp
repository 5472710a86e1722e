#include "app/definition/toml_file.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

VmDefinition full() {
    VmDefinition definition{"debian", "/srv/vms", RestartPolicy::always, true, {}};
    definition.options = {{"memory", "1G"},
                          {"cpus", 2U},
                          {"no-reboot", true},
                          {"disk", {"a.qcow2", "b 'x' \"y\",serial=\\ü\n"}},
                          {"append", ""}};
    return definition;
}

// The order of options does not count.
bool are_same(const VmDefinition& a, const VmDefinition& b) {
    return nlohmann::json(a.options) == nlohmann::json(b.options) && a.name == b.name &&
           a.directory == b.directory && a.restart == b.restart && a.autostart == b.autostart;
}

TEST(TomlFile, ComesBackAsItWas) {
    const std::string text = to_toml(full());
    const auto read = definition_from_toml("f", text, "/elsewhere");
    ASSERT_TRUE(read) << read.error().text() << text;
    EXPECT_TRUE(are_same(*read, full())) << text;
    EXPECT_EQ(to_toml(*read), text);
}

TEST(TomlFile, WhatIsNotSaidIsAsUsual) {
    const auto read = definition_from_toml("f", "memory = '1G'\ndirectory = 'sub'", "/home/me");
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->name, "");
    EXPECT_EQ(read->directory, "/home/me/sub");
    EXPECT_EQ(read->restart, RestartPolicy::no);
    EXPECT_FALSE(read->autostart);
    EXPECT_EQ(read->options, (OptionValues{{"memory", "1G"}}));
}

TEST(TomlFile, MistakesAreNamedByTheirLine) {
    for (const char* const text :
         {"a = 'b'\nc", "a = 1\nb = 1.5", "a = 1\nb = -1", "a = 1\nb = [1]", "a = 1\n[b]\nc = 1",
          "a = 1\nb = 2026-01-01", "a = 1\nname = 1", "a = 1\nautostart = 'on'",
          "a = 1\nb = [['a']]", "a = 1\na = 2"}) {
        const auto read = definition_from_toml("f.toml", text, "/");
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code(), ErrorCode::invalid_data);
        EXPECT_TRUE(read.error().text().starts_with("'f.toml' line ")) << read.error().text();
    }
    EXPECT_FALSE(definition_from_toml("f", "restart = 'maybe'", "/"));
    EXPECT_FALSE(definition_from_toml("f", "kernel = \"a\\u0000b\"", "/"));
}

TEST(VmDefinition, ComesBackFromTheStore) {
    const auto back = from_stored(to_stored(full()));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, full());
}

TEST(VmDefinition, OptionsOfAnotherKindAreRefused) {
    for (const char* const options : {"", "[]", "{\"a\":null}", "{\"a\":-1}", "{\"a\":[1]}", "{"}) {
        const auto back = from_stored({"a", "/", options, RestartPolicy::no, false});
        ASSERT_FALSE(back) << options;
        EXPECT_EQ(back.error().code(), ErrorCode::invalid_data);
    }
}

}  // namespace
}  // namespace banyan
