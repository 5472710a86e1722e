#include "cpu/kvm/kvm_cpuid.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <initializer_list>

#include "cpu/kvm/kvm_testing.hpp"

namespace banyan::kvm {
namespace {

constexpr uint32_t kX2Apic = 1U << 21;
constexpr uint32_t kTscDeadline = 1U << 24;
constexpr uint32_t kHypervisor = 1U << 31;
constexpr uint32_t kXsave = 1U << 26;

class KvmCpuidTest : public testing::Test {
protected:
    void offer(uint32_t leaf, uint32_t subleaf, std::initializer_list<uint32_t> words) {
        kvm_cpuid_entry2 entry{};
        entry.function = leaf;
        entry.index = subleaf;
        const auto* word = words.begin();
        entry.eax = word[0];
        entry.ebx = word[1];
        entry.ecx = word[2];
        entry.edx = word[3];
        supported.push_back(entry);
    }
    kvm_cpuid_entry2 told(uint32_t leaf, uint32_t subleaf = 0, unsigned index = 0) {
        const auto entries = build_cpuid(model, supported, extras, index);
        const auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
            return entry.function == leaf && entry.index == subleaf;
        });
        return found == entries.end() ? kvm_cpuid_entry2{} : *found;
    }

    interp::CpuModel model = *interp::CpuModel::create("max", 4, 2'000'000'000);
    std::vector<kvm_cpuid_entry2> supported;
    CpuidExtras extras;
};

TEST_F(KvmCpuidTest, FeaturesHaveToBeTheModelsAndKvms) {
    EXPECT_EQ(told(1).ecx, kHypervisor);

    offer(1, 0, {0, 0, kX2Apic, 0});
    EXPECT_EQ(told(1).ecx, kHypervisor | kX2Apic);

    offer(0x80000001, 0, {0, 0, ~0U, ~0U});
    const auto whole = model.cpuid(0x80000001, 0, 0, 0, 1);
    EXPECT_EQ(told(0x80000001).ecx, whole.ecx);
    EXPECT_EQ(told(0x80000001).edx, whole.edx);
}

TEST_F(KvmCpuidTest, WhatCapabilitiesTellIsAdded) {
    extras.tsc_deadline = true;
    EXPECT_EQ(told(1).ecx, kHypervisor | kTscDeadline);

    extras.wide_msi_targets = true;
    EXPECT_EQ(told(0x40000001).eax, 1U << 15);
}

TEST_F(KvmCpuidTest, FlawsAndTheirRemediesAreTheProcessorsOwn) {
    constexpr uint32_t kMdClear = 1U << 10;
    constexpr uint32_t kIbpb = 1U << 12;
    offer(7, 0, {0, 0, 0, kMdClear});
    offer(0x80000008, 0, {0x3030, kIbpb, 0, 0});

    EXPECT_EQ(told(7).edx, kMdClear);
    if (model.is_amd()) {
        EXPECT_EQ(told(0x80000008).ebx, kIbpb);
    }
}

TEST_F(KvmCpuidTest, KvmsOwnFeaturesAreOfferedAsFarAsTheyAreKnown) {
    offer(0x40000001, 0, {~0U, 0, 0, 0});

    const uint32_t features = told(0x40000001).eax;

    EXPECT_TRUE((features & 1U << 6) != 0) << "end of interrupt";
    EXPECT_TRUE((features & 1U << 4) != 0) << "asynchronous page faults";
    EXPECT_TRUE((features & 1U << 17) == 0) << "control of migration is user space's to do";
    EXPECT_TRUE((features & 1U << 15) == 0) << "wide destinations need a capability";
}

TEST_F(KvmCpuidTest, EachVcpuHasItsApicId) {
    EXPECT_EQ(told(1, 0, 3).ebx >> 24, 3U);
    EXPECT_EQ(told(0xB, 0, 3).edx, 3U);
}

TEST_F(KvmCpuidTest, ComponentsOfXsaveLieWhereTheProcessorHasThem) {
    offer(1, 0, {0, 0, kXsave, 0});
    offer(0xD, 0, {0x7, 0x340, 0xA80, 0});
    offer(0xD, 2, {0x100, 0x240, 0, 0});

    const auto all = told(0xD, 0);
    if (all.eax != 0x7) GTEST_SKIP() << "this host's processor has no AVX";
    EXPECT_EQ(all.ecx, 0x340U) << "without what the model lacks";
    EXPECT_EQ(told(0xD, 2).ebx, 0x240U);
}

TEST_F(KvmCpuidTest, WithoutXsaveThereIsNoLeafForItsSizes) {
    model = *interp::CpuModel::create("x86-64", 1, 2'000'000'000);
    offer(0xD, 0, {0x7, 0x340, 0x340, 0});

    EXPECT_EQ(told(0xD).function, 0U);
}

TEST_F(KvmCpuidTest, AddressesAreNotWiderThanTheProcessors) {
    offer(0x80000008, 0, {0x3024, 0, 0, 0});
    EXPECT_EQ(told(0x80000008).eax & 0xFF, 0x24U);

    supported.clear();
    offer(0x80000008, 0, {0x3034, 0, 0, 0});
    EXPECT_EQ(told(0x80000008).eax & 0xFF, model.physical_address_bits());
}

TEST_F(KvmCpuidTest, LeavesWithSubleavesSayThatTheyHaveThem) {
    for (const auto& entry : build_cpuid(model, supported, extras, 0)) {
        const bool indexed = entry.flags == KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
        EXPECT_TRUE(indexed || entry.index == 0) << entry.function;
    }
    EXPECT_NE(told(0xB).flags, 0U);
    EXPECT_EQ(told(1).flags, 0U);
}

}  // namespace
}  // namespace banyan::kvm
