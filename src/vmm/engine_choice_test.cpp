#include "vmm/engine_choice.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

const kvm::KvmVerdict kHardware{.usable = true, .fast = true, .why = "KVM with AMD-V"};
const kvm::KvmVerdict kSlow{.usable = true, .why = "KVM has no hardware behind it"};
const kvm::KvmVerdict kNone{.why = "there is no /dev/kvm", .remedy = "load its module"};

std::string reason_of(EngineKind kind, const kvm::KvmVerdict& kvm) {
    const auto choice = choose_engine(kind, kvm);
    return choice ? choice->reason : std::string(choice.error().text());
}

TEST(EngineChoice, AutoTakesKvmWhereItIsFast) {
    EXPECT_EQ(reason_of(EngineKind::automatic, kHardware), "engine kvm: KVM with AMD-V");
    EXPECT_EQ(reason_of(EngineKind::automatic, kSlow),
              "engine soft: KVM has no hardware behind it");
    EXPECT_EQ(reason_of(EngineKind::automatic, kNone),
              "engine soft: there is no /dev/kvm; load its module");
}

TEST(EngineChoice, WhatWasAskedForIsTaken) {
    constexpr std::string_view kAsked = "asked for by --engine";
    EXPECT_EQ(reason_of(EngineKind::kvm, kSlow), "engine kvm: " + std::string(kAsked));
    EXPECT_EQ(reason_of(EngineKind::soft, kHardware), "engine soft: " + std::string(kAsked));
    EXPECT_EQ(reason_of(EngineKind::interp, kHardware), "engine interp: " + std::string(kAsked));
}

TEST(EngineChoice, KvmIsRefusedWithAWayOut) {
    const auto choice = choose_engine(EngineKind::kvm, kNone);

    ASSERT_FALSE(choice);
    EXPECT_EQ(choice.error().code(), ErrorCode::unsupported);
    EXPECT_EQ(choice.error().text(), "use the engine kvm: there is no /dev/kvm; load its module");
}

TEST(EngineChoice, TheReportAgreesWithTheChoice) {
    for (const auto& kvm : {kHardware, kSlow, kNone}) {
        for (const EngineReport& report : report_engines(kvm)) {
            const EngineKind kind = report.name == "kvm"    ? EngineKind::kvm
                                    : report.name == "soft" ? EngineKind::soft
                                                            : EngineKind::interp;
            EXPECT_EQ(choose_engine(kind, kvm).has_value(), report.available) << report.name;
        }
    }
}

}  // namespace
}  // namespace banyan
