#include "app/cli/completion.hpp"

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

namespace banyan {
namespace {

class CompletionTest : public testing::Test {
protected:
    CompletionTest() {
        CLI::App& run = *app.add_subcommand("run", "run it");
        run.add_option("-m,--memory", text, "it's the memory")->type_name("SIZE");
        run.add_option("--secret", text, "hidden")->group("");
        run.add_flag("--fast", flag, "be fast");
        run.footer("Examples:\n  banyan run");
        app.add_subcommand("stop", "stop it")
            ->add_option("vm", text, "its name")
            ->type_name("NAME|PID")
            ->required();
        app.add_subcommand("image", "images")->add_subcommand("info", "facts");
        tree = command_tree(app);
    }
    bool has(const std::string& all, const std::string& part) const {
        return all.find(part) != std::string::npos;
    }

    CLI::App app{"Runs.", "banyan"};
    std::string text;
    bool flag = false;
    std::vector<CommandFacts> tree;
};

TEST_F(CompletionTest, TheTreeIsThatOfTheProgram) {
    ASSERT_EQ(tree.size(), 5U);
    EXPECT_EQ(tree[0].commands, (std::vector<std::string>{"run", "stop", "image"}));
    EXPECT_EQ(tree[1].name, "run");
    ASSERT_EQ(tree[1].options.size(), 3U) << "help, and two that are not hidden";
    EXPECT_EQ(tree[1].options[1].long_name, "memory");
    EXPECT_EQ(tree[1].options[1].short_name, "m");
    EXPECT_EQ(tree[1].options[1].value, "SIZE");
    EXPECT_EQ(tree[1].options[2].value, "");
    EXPECT_TRUE(tree[2].takes_vm());
    EXPECT_FALSE(tree[1].takes_vm());
    EXPECT_EQ(tree[4].name, "image info");
}

TEST_F(CompletionTest, EachShellHasItsOwn) {
    const std::string bash = *completion_for("bash", tree);
    EXPECT_TRUE(has(bash, "'run')\n            words='--help --memory --fast'\n")) << bash;
    EXPECT_TRUE(
        has(bash, "'stop')\n            words='--help'\n            names=$(banyan list -a"));
    EXPECT_TRUE(has(bash, "image) command+=")) << bash;
    EXPECT_TRUE(has(*completion_for("zsh", tree), "#compdef banyan"));
    const std::string fish = *completion_for("fish", tree);
    EXPECT_TRUE(has(fish, "-a run -d 'run it'")) << fish;
    EXPECT_TRUE(has(fish, "-l memory -s m -r -d 'it\\'s the memory'")) << fish;
    EXPECT_TRUE(
        has(fish, "'__fish_seen_subcommand_from image; and __fish_seen_subcommand_from info'"));
    EXPECT_FALSE(completion_for("tcsh", tree));
}

TEST_F(CompletionTest, TheManualHasEachCommand) {
    const std::string page = manual_page(tree, "1.2");
    EXPECT_TRUE(page.starts_with(".TH BANYAN 1 \"\" \"banyan 1.2\""));
    EXPECT_TRUE(has(page, ".SS \"banyan stop [OPTION]... NAME|PID\"\nstop it\n")) << page;
    EXPECT_TRUE(has(page, "\\fB\\-m, \\-\\-memory\\fR \\fISIZE\\fR\nit's the memory\n")) << page;
    EXPECT_FALSE(has(page, "secret"));
}

}  // namespace
}  // namespace banyan
