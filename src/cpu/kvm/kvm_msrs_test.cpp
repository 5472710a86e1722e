#include "cpu/kvm/kvm_msrs.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "cpu/kvm/kvm_testing.hpp"

namespace banyan::kvm {
namespace {

// A KVM with registers, some of which it refuses: it stops there, as KVM does.
class KvmMsrsTest : public testing::Test {
protected:
    void SetUp() override {
        vcpu.on<kvm_msrs>(KVM_SET_MSRS, [this](kvm_msrs& list) {
            return walk(list, [this](kvm_msr_entry& msr) { values[msr.index] = msr.data; });
        });
        vcpu.on<kvm_msrs>(KVM_GET_MSRS, [this](kvm_msrs& list) {
            return walk(list, [this](kvm_msr_entry& msr) { msr.data = values[msr.index]; });
        });
    }
    template <class Function>
    int walk(kvm_msrs& list, Function function) {
        auto* entries = reinterpret_cast<kvm_msr_entry*>(&list + 1);
        for (uint32_t i = 0; i < list.nmsrs; ++i) {
            if (refused.contains(entries[i].index)) return static_cast<int>(i);
            function(entries[i]);
        }
        return static_cast<int>(list.nmsrs);
    }

    FakeHandle vcpu;
    std::map<uint32_t, uint64_t> values;
    std::set<uint32_t> refused;
};

TEST_F(KvmMsrsTest, AllGoThereAndBack) {
    x86::MsrState state;
    state.lstar = 0xFFFFFFFF81000000;
    state.mtrr_variable[3] = 0x800;
    state.mtrr_fixed[10] = 0x0606060606060606;
    state.kvm_poll_control = 0;

    ASSERT_TRUE(set_msrs(vcpu, state));
    EXPECT_EQ(values.at(x86::kMsrLstar), state.lstar);
    EXPECT_EQ(values.at(0x203), 0x800U);
    EXPECT_EQ(values.at(0x26F), state.mtrr_fixed[10]);

    x86::MsrState back;
    ASSERT_TRUE(get_msrs(vcpu, back));
    EXPECT_EQ(back.lstar, state.lstar);
    EXPECT_EQ(back.mtrr_variable, state.mtrr_variable);
    EXPECT_EQ(back.mtrr_fixed, state.mtrr_fixed);
    EXPECT_EQ(back.kvm_poll_control, 0U);
    EXPECT_EQ(vcpu.count(KVM_SET_MSRS), 1U);
}

// To enable them wakes who waits, by the interrupt that has to be known then (Linux,
// Documentation/virt/kvm/x86/msr.rst, "MSR_KVM_ASYNC_PF_INT").
TEST_F(KvmMsrsTest, AsynchronousPageFaultsAreEnabledAfterTheirInterruptIsKnown) {
    std::vector<uint32_t> order;
    vcpu.on<kvm_msrs>(KVM_SET_MSRS, [&](kvm_msrs& list) {
        return walk(list, [&](const kvm_msr_entry& msr) { order.push_back(msr.index); });
    });
    x86::MsrState state;
    state.kvm_async_pf = 0x1009;
    state.kvm_async_pf_int = 0xF3;

    ASSERT_TRUE(set_msrs(vcpu, state));

    const auto interrupt = std::find(order.begin(), order.end(), x86::kMsrKvmAsyncPfInt);
    const auto enable = std::find(order.begin(), order.end(), x86::kMsrKvmAsyncPfEn);
    ASSERT_NE(enable, order.end());
    EXPECT_LT(interrupt, enable);
}

TEST_F(KvmMsrsTest, WhatKvmLacksKeepsItsValueAfterPowerOn) {
    refused = {x86::kMsrSpecCtrl, x86::kMsrMiscEnable};

    ASSERT_TRUE(set_msrs(vcpu, {}));
    x86::MsrState back;
    ASSERT_TRUE(get_msrs(vcpu, back));

    EXPECT_EQ(back.misc_enable, 1U);
    EXPECT_EQ(back.spec_ctrl, 0U);
    EXPECT_EQ(back.pat, x86::MsrState{}.pat) << "those behind them are there";
}

TEST_F(KvmMsrsTest, AnotherValueOfItIsRefusedByName) {
    refused = {x86::kMsrSpecCtrl};
    x86::MsrState state;
    state.spec_ctrl = 1;

    const auto set = set_msrs(vcpu, state);

    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code(), ErrorCode::unsupported);
    EXPECT_NE(set.error().text().find("MSR 0x48"), std::string_view::npos) << set.error().text();
}

TEST_F(KvmMsrsTest, OneAloneSaysWhetherItIsThere) {
    refused = {x86::kMsrTscDeadline};
    uint64_t value = 7;

    EXPECT_FALSE(get_msr(vcpu, x86::kMsrTscDeadline, value));
    EXPECT_EQ(value, 7U);
    EXPECT_FALSE(set_msr(vcpu, x86::kMsrTscDeadline, 1));
    EXPECT_TRUE(set_msr(vcpu, x86::kMsrApicBase, 0xFEE00900));
    EXPECT_TRUE(get_msr(vcpu, x86::kMsrApicBase, value));
    EXPECT_EQ(value, 0xFEE00900U);
}

}  // namespace
}  // namespace banyan::kvm
