#include "app/cli/option_values.hpp"

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

namespace banyan {
namespace {

OptionValues values_of(std::vector<std::string> arguments) {
    RunOptions options;
    CLI::App command;
    add_run_options(command, options);
    std::reverse(arguments.begin(), arguments.end());
    command.parse(arguments);
    return given_run_options(command);
}

TEST(OptionValues, HaveTheKindsOfTheirOptions) {
    const OptionValues values =
        values_of({"--cpus", "2", "--memory=1G", "--disk", "a", "--disk", "b,readonly=on",
                   "--no-reboot", "--append", "--x y", "--kernel", "k"});
    EXPECT_EQ(nlohmann::json(values), nlohmann::json({{"cpus", 2},
                                                      {"memory", "1G"},
                                                      {"disk", {"a", "b,readonly=on"}},
                                                      {"no-reboot", true},
                                                      {"append", "--x y"},
                                                      {"kernel", "k"}}));
}

TEST(OptionValues, AreTakenAsTheCommandLineIs) {
    const OptionValues values = values_of({"--cpus", "2", "--disk", "a", "--disk", "-b", "--append",
                                           "--x y", "--no-reboot", "--kernel", "k"});
    const auto options = run_options_of("it", values);
    ASSERT_TRUE(options) << options.error().text();
    EXPECT_EQ(options->cpus, "2");
    EXPECT_EQ(options->disks, (std::vector<std::string>{"a", "-b"}));
    EXPECT_EQ(options->append, "--x y");
    EXPECT_TRUE(options->no_reboot);
    EXPECT_EQ(options->kernel, "k");
    EXPECT_EQ(options->memory, "");
}

TEST(OptionValues, WhatIsNoOptionIsRefused) {
    for (const char* const text :
         {R"({"fly": "x"})", R"({"help": true})", R"({"memory": true})", R"({"no-reboot": "x"})",
          R"({"memory": ["1G", "2G"]})", R"({"memory": null})", "[]"}) {
        const auto options = run_options_of("it", OptionValues::parse(text));
        ASSERT_FALSE(options) << text;
        EXPECT_EQ(options.error().code(), ErrorCode::invalid_data);
        EXPECT_TRUE(options.error().text().starts_with("it: ")) << options.error().text();
    }
    EXPECT_TRUE(run_options_of("it", {{"no-reboot", false}}));
}

TEST(OptionValues, AnImageIsADiskOrACd) {
    EXPECT_EQ(option_of_image("run", {"a.img"}), "disk");
    EXPECT_EQ(option_of_image("run", {"./a"}), "disk");
    EXPECT_EQ(option_of_image("run", {"a.iso"}), "cdrom");
    EXPECT_FALSE(option_of_image("run", {"a.img", "b.img"}));
    EXPECT_FALSE(option_of_image("run", {"debian"}));
    EXPECT_FALSE(option_of_image("run", {"--fly"}));
}

}  // namespace
}  // namespace banyan
