#include "cpu/interp/cpu_model.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <string>

#include "arch/x86/registers.hpp"

namespace banyan::interp {
namespace {

constexpr uint64_t kHz = 2'500'000'000;

CpuModel make(std::string_view name = "max", unsigned cpus = 1) {
    Result<CpuModel> model = CpuModel::create(name, cpus, kHz);
    EXPECT_TRUE(model.has_value());
    return *model;
}

CpuidResult ask(const CpuModel& model, uint32_t leaf, uint32_t subleaf = 0, unsigned apic_id = 0,
                uint64_t cr4 = 0, uint64_t xcr0 = 1) {
    return model.cpuid(leaf, subleaf, apic_id, cr4, xcr0);
}

std::string text(std::initializer_list<uint32_t> words) {
    std::string result;
    for (const uint32_t word : words) {
        char bytes[4];
        std::memcpy(bytes, &word, 4);
        result.append(bytes, 4);
    }
    return result.substr(0, result.find('\0'));
}

TEST(CpuModel, UnknownNameIsRefused) {
    EXPECT_FALSE(CpuModel::create("pentium", 1, kHz).has_value());
    EXPECT_FALSE(CpuModel::create("max", 0, kHz).has_value());
    EXPECT_FALSE(CpuModel::create("max", 1, 0).has_value());
}

TEST(CpuModel, VendorDecidesRulesAndName) {
    const CpuModel model = make();

    const CpuidResult leaf = ask(model, 0);

    EXPECT_EQ(text({leaf.ebx, leaf.edx, leaf.ecx}),
              model.is_amd() ? "AuthenticAMD" : "GenuineIntel");
}

TEST(CpuModel, LevelsAddFeatures) {
    const CpuModel base = make("x86-64");

    EXPECT_FALSE(base.has(Feature::sse3));
    EXPECT_FALSE(base.has(Feature::xsave));
    EXPECT_TRUE(base.has(Feature::nx));
    EXPECT_TRUE(base.has(Feature::x2apic));
    EXPECT_TRUE(base.has(Feature::long_mode));
}

TEST(CpuModel, HostIsAnotherNameOfMax) {
    const CpuModel max = make("max");
    const CpuModel host = make("host");
    for (unsigned f = 0; f < static_cast<unsigned>(Feature::count); ++f)
        EXPECT_EQ(max.has(static_cast<Feature>(f)), host.has(static_cast<Feature>(f))) << f;
}

TEST(CpuModel, WhatIsBeyondTheLevelsIsNotInThem) {
    const CpuModel level3 = make("x86-64-v3");
    for (const Feature f : {Feature::gfni, Feature::vaes, Feature::vpclmulqdq, Feature::avx_vnni,
                            Feature::avx512f, Feature::aes}) {
        EXPECT_FALSE(level3.has(f)) << static_cast<int>(f);
    }
    EXPECT_EQ(ask(level3, 7).eax, 0U);
    EXPECT_EQ(ask(level3, 7, 1).eax, 0U);
}

TEST(CpuModel, MonitorIsNeverOffered) {
    EXPECT_FALSE(make().has(Feature::monitor));
    EXPECT_EQ(ask(make(), 1).ecx >> 3 & 1, 0U);
}

TEST(CpuModel, SystemFeaturesDoNotDependOnHost) {
    const CpuModel model = make();
    for (const Feature f :
         {Feature::pcid, Feature::invpcid, Feature::smep, Feature::smap, Feature::umip,
          Feature::fsgsbase, Feature::x2apic, Feature::tsc_deadline, Feature::nx, Feature::pdpe1gb,
          Feature::rdtscp, Feature::rdpid, Feature::erms, Feature::long_mode}) {
        EXPECT_TRUE(model.has(f)) << static_cast<int>(f);
    }
}

TEST(CpuModel, OsXsaveFollowsCr4) {
    const CpuModel model = make();

    EXPECT_EQ(ask(model, 1).ecx >> 27 & 1, 0U);
    EXPECT_EQ(ask(model, 1, 0, 0, x86::kCr4OsXsave).ecx >> 27 & 1, 1U);
}

TEST(CpuModel, ApicIdIsTheVcpus) {
    const CpuModel model = make("max", 4);

    EXPECT_EQ(ask(model, 1, 0, 3).ebx >> 24, 3U);
    EXPECT_EQ(ask(model, 0xB, 0, 3).edx, 3U);
    EXPECT_EQ(ask(model, 0xB, 1, 3).edx, 3U);
}

TEST(CpuModel, TopologyIsCoresOfOnePackage) {
    const CpuModel model = make("max", 3);

    const CpuidResult threads = ask(model, 0xB, 0);
    const CpuidResult cores = ask(model, 0xB, 1);
    const CpuidResult end = ask(model, 0xB, 2);

    EXPECT_EQ(threads.eax, 0U);
    EXPECT_EQ(threads.ebx, 1U);
    EXPECT_EQ(threads.ecx, 0x100U);
    EXPECT_EQ(cores.eax, 2U);
    EXPECT_EQ(cores.ebx, 3U);
    EXPECT_EQ(cores.ecx, 0x201U);
    EXPECT_EQ(end.ebx, 0U);
    EXPECT_EQ(end.ecx, 2U);
}

TEST(CpuModel, XsaveLeafGivesSizeOfEnabledState) {
    const CpuModel model = make();
    ASSERT_TRUE(model.has(Feature::avx));

    EXPECT_EQ(ask(model, 0xD, 0, 0, 0, 1).ebx, 576U);
    EXPECT_EQ(ask(model, 0xD, 0, 0, 0, 7).ebx, 832U);
    EXPECT_EQ(ask(model, 0xD, 0, 0, 0, 1).ecx, model.has(Feature::avx512f) ? 2432U : 832U);
    EXPECT_EQ(ask(make("x86-64-v3"), 0xD, 0, 0, 0, 1).ecx, 832U);
    EXPECT_EQ(ask(model, 0xD, 2).eax, 256U);
    EXPECT_EQ(ask(model, 0xD, 2).ebx, 576U);
    EXPECT_EQ(ask(model, 0xD, 3).eax, 0U);
}

TEST(CpuModel, HypervisorLeavesAreKvms) {
    const CpuModel model = make();

    const CpuidResult leaf = ask(model, 0x40000000);

    EXPECT_EQ(text({leaf.ebx, leaf.ecx, leaf.edx}), "KVMKVMKVM");
    EXPECT_EQ(ask(model, 1).ecx >> 31, 1U);
    EXPECT_EQ(ask(model, 0x40000001).eax >> 3 & 1, 1U);   // clock source
    EXPECT_EQ(ask(model, 0x40000001).eax >> 24 & 1, 1U);  // stable
    EXPECT_EQ(ask(model, 0x40000010).eax, kHz / 1000);
}

TEST(CpuModel, UnknownLeavesAreZero) {
    const CpuModel model = make();
    for (const uint32_t leaf : {0x3U, 0x1FU, 0x7FFFFFFFU, 0x40000002U, 0x80000030U, 0xFFFFFFFFU}) {
        const CpuidResult r = ask(model, leaf);
        EXPECT_EQ(r.eax | r.ebx | r.ecx | r.edx, 0U) << std::hex << leaf;
    }
}

TEST(CpuModel, MaximumLeavesAreAnswered) {
    const CpuModel model = make();

    EXPECT_GE(ask(model, 0).eax, 0xDU);
    EXPECT_GE(ask(model, 0x80000000).eax, 0x80000008U);
    EXPECT_EQ(ask(model, 0x80000008).eax, 40U | 48U << 8);
    EXPECT_EQ(ask(model, 0x80000007).edx, 1U << 8);
}

TEST(CpuModel, BrandStringIsWhole) {
    const CpuModel model = make();
    std::string brand;
    for (const uint32_t leaf : {0x80000002U, 0x80000003U, 0x80000004U}) {
        const CpuidResult r = ask(model, leaf);
        brand += text({r.eax, r.ebx, r.ecx, r.edx});
    }

    EXPECT_EQ(brand, "Banyan virtual CPU");
}

}  // namespace
}  // namespace banyan::interp
