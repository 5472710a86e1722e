#include "vmm/engine_choice.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(EngineChoice, EveryChoiceSaysWhy) {
    const std::pair<EngineKind, std::string_view> kExpected[] = {
        {EngineKind::automatic, "engine soft: "},
        {EngineKind::soft, "engine soft: "},
        {EngineKind::interp, "engine interp: "},
    };
    for (const auto& [kind, beginning] : kExpected) {
        const auto choice = choose_engine(kind);

        ASSERT_TRUE(choice);
        EXPECT_TRUE(choice->reason.starts_with(beginning)) << choice->reason;
    }
}

TEST(EngineChoice, KvmIsRefusedWithAWayOut) {
    const auto choice = choose_engine(EngineKind::kvm);

    ASSERT_FALSE(choice);
    EXPECT_EQ(choice.error().code(), ErrorCode::unsupported);
    EXPECT_NE(choice.error().text().find("--engine auto"), std::string::npos);
}

TEST(EngineChoice, TheReportAgreesWithTheChoice) {
    for (const EngineReport& report : report_engines()) {
        const EngineKind kind = report.name == "kvm"    ? EngineKind::kvm
                                : report.name == "soft" ? EngineKind::soft
                                                        : EngineKind::interp;
        EXPECT_EQ(choose_engine(kind).has_value(), report.available) << report.name;
    }
}

}  // namespace
}  // namespace banyan
