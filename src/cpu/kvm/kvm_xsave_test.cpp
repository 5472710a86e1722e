#include "cpu/kvm/kvm_xsave.hpp"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace banyan::kvm {
namespace {

constexpr uint32_t kIntelOpmask = 1088;

kvm_cpuid_entry2 component(uint32_t number, uint32_t offset, uint32_t size) {
    kvm_cpuid_entry2 entry{};
    entry.function = 0xD;
    entry.index = number;
    entry.eax = size;
    entry.ebx = offset;
    return entry;
}

// As Intel's processors lay it out, which MPX has left a gap in.
const std::vector<kvm_cpuid_entry2> kIntel{component(2, 576, 256), component(5, kIntelOpmask, 64)};

struct KvmXsaveTest : testing::Test {
    using Area = std::array<std::byte, x86::kXsaveSize>;

    void put(Area& area, size_t offset, uint8_t value) { area[offset] = std::byte{value}; }
    std::byte* bytes(kvm_xsave& xsave) { return reinterpret_cast<std::byte*>(xsave.region); }

    XsaveLayout layout{kIntel};
    Area ours{};
    std::array<uint32_t, 1024> region{};
    kvm_xsave& kvms = *reinterpret_cast<kvm_xsave*>(region.data());
};

TEST_F(KvmXsaveTest, ComponentsMoveToTheirPlaceAndBack) {
    put(ours, x86::kXsaveLegacySize, x86::kXcr0X87 | x86::kXcr0Avx | x86::kXcr0Opmask);
    put(ours, 0, 0x7F);
    put(ours, x86::kXsaveAvxOffset + 5, 0xA5);
    put(ours, x86::kXsaveOpmaskOffset + 1, 0x5A);

    layout.set(ours, kvms);
    EXPECT_EQ(bytes(kvms)[0], std::byte{0x7F});
    EXPECT_EQ(bytes(kvms)[576 + 5], std::byte{0xA5});
    EXPECT_EQ(bytes(kvms)[kIntelOpmask + 1], std::byte{0x5A});

    Area back{};
    layout.get(kvms, back);
    EXPECT_EQ(back, ours);
}

TEST_F(KvmXsaveTest, ComponentsInTheirInitialStateStayThere) {
    put(ours, x86::kXsaveAvxOffset, 0xA5);

    layout.set(ours, kvms);

    EXPECT_EQ(bytes(kvms)[x86::kXsaveLegacySize], std::byte{0});
    EXPECT_EQ(bytes(kvms)[576], std::byte{0});
}

TEST_F(KvmXsaveTest, WhatTheHostHasNoPlaceForIsLeftOut) {
    const XsaveLayout without{std::span<const kvm_cpuid_entry2>{}};
    put(ours, x86::kXsaveLegacySize, x86::kXcr0Sse | x86::kXcr0Avx);

    without.set(ours, kvms);

    EXPECT_EQ(bytes(kvms)[x86::kXsaveLegacySize], std::byte{x86::kXcr0Sse});
}

}  // namespace
}  // namespace banyan::kvm
