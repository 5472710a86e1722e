#include "app/cli/cli.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace banyan {
namespace {

// Runs a command that ends before there is a VM; what it prints is compared by the caller.
struct Ran {
    int status;
    std::string out;
    std::string err;
};

Ran run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "banyan");
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = run_cli(static_cast<int>(arguments.size()), arguments.data());
    std::string err = testing::internal::GetCapturedStderr();
    return {status, testing::internal::GetCapturedStdout(), std::move(err)};
}

TEST(Cli, WrongUsageIsOneLineAndStatus2) {
    const std::vector<std::vector<const char*>> cases{
        {},
        {"fly"},
        {"--fly"},
        {"create"},
        {"create", "x"},
        {"create", "x", "--kernel=k", "--detach"},
        {"start"},
        {"remove"},
        {"rename", "x"},
        {"set", "x", "y"},
        {"supervise", "x"},
        {"completion"},
        {"completion", "tcsh"},
        {"run"},
        {"run", "--fly", "--kernel=k"},
        {"run", "debian", "--kernel=k"},
        {"run", "a.img", "b.img"},
        {"run", "a.iso", "--machine=micro"},
        {"run", "--kernel"},
        {"run", "--kernel=k", "--kernel=l"},
        {"run", "--kernel=k", "--cpus=0"},
        {"run", "--kernel=k", "--net=token"},
        {"run", "--kernel=k", "--log-level=loud"},
        {"doctor", "--fly"},
        {"stats", "a", "b"},
        {"show"},
        {"list", "a"},
        {"stop", "a", "--timeout=soon"},
        {"kill"},
        {"logs", "a", "b"},
        {"screenshot"},
        {"screenshot", "a"},
        {"screenshot", "a", "b.png", "--text"},
        {"send-key", "a"},
        {"run", "--kernel=k", "--display=spice"},
        {"image"},
        {"image", "list"},
        {"image", "create"},
        {"image", "create", "/nowhere/a.qcow2", "much"},
        {"image", "create", "/nowhere/a.qcow2", "1G", "--format=qed"},
        {"image", "convert", "/nowhere/a.qcow2"},
        {"image", "resize", "/nowhere/a.qcow2", "-1G"},
        {"run", "--kernel=k", "--trace=loud"},
        {"run", "--kernel=k", "--engine=interp", "--trace=jit-map"},
    };
    for (const auto& arguments : cases) {
        const Ran ran = run(arguments);

        EXPECT_EQ(ran.status, 2);
        EXPECT_EQ(ran.out, "");
        EXPECT_TRUE(ran.err.starts_with("banyan: ")) << ran.err;
        EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    }
}

TEST(Cli, EveryCommandHasHelpWithExamples) {
    for (const auto& arguments :
         std::vector<std::vector<const char*>>{{"--help"},
                                               {"run", "--help"},
                                               {"doctor", "--help"},
                                               {"stats", "--help"},
                                               {"list", "--help"},
                                               {"show", "--help"},
                                               {"stop", "--help"},
                                               {"kill", "--help"},
                                               {"reset", "--help"},
                                               {"pause", "--help"},
                                               {"resume", "--help"},
                                               {"publish", "--help"},
                                               {"unpublish", "--help"},
                                               {"network", "capture", "--help"},
                                               {"network", "rate", "--help"},
                                               {"console", "--help"},
                                               {"logs", "--help"},
                                               {"events", "--help"},
                                               {"wait", "--help"},
                                               {"screenshot", "--help"},
                                               {"send-key", "--help"},
                                               {"image", "--help"},
                                               {"image", "create", "--help"},
                                               {"image", "convert", "--help"},
                                               {"image", "info", "--help"},
                                               {"image", "resize", "--help"},
                                               {"image", "check", "--help"},
                                               {"create", "--help"},
                                               {"start", "--help"},
                                               {"remove", "--help"},
                                               {"rename", "--help"},
                                               {"set", "--help"},
                                               {"supervise", "--help"},
                                               {"completion", "--help"},
                                               {"manual", "--help"},
                                               {"version", "--help"}}) {
        const Ran ran = run(arguments);

        EXPECT_EQ(ran.status, 0);
        EXPECT_NE(ran.out.find("Examples:"), std::string::npos);
        EXPECT_EQ(ran.err, "");
    }
}

TEST(Cli, TraceHelpNeedsNoGuest) {
    const Ran ran = run({"run", "--trace", "help"});

    EXPECT_EQ(ran.status, 0);
    EXPECT_NE(ran.out.find("jit-map"), std::string::npos);
}

TEST(Cli, FactsAreForPeopleAndPrograms) {
    EXPECT_TRUE(run({"version"}).out.starts_with("banyan "));
    EXPECT_TRUE(run({"version", "--json"}).out.starts_with("{\"version\":"));
    EXPECT_NE(run({"doctor"}).out.find("engine soft"), std::string::npos);
    EXPECT_NE(run({"doctor", "--json"}).out.find("\"engines\""), std::string::npos);
}

}  // namespace
}  // namespace banyan
