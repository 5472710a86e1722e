#include "cpu/kvm/kvm_apics.hpp"

#include <gtest/gtest.h>

#include "cpu/kvm/kvm_list.hpp"
#include "cpu/kvm/kvm_testing.hpp"

namespace banyan::kvm {
namespace {

constexpr MsiMessage kLevel{0xFEE0'1000, 0xC030};

class KvmApicsTest : public testing::Test {
protected:
    // `wide`: the kernel has KVM_CAP_X2APIC_API.
    void create(bool wide) {
        vm.on<kvm_enable_cap>(KVM_ENABLE_CAP, [wide](const kvm_enable_cap& cap) {
            return cap.cap == KVM_CAP_X2APIC_API && !wide ? -EINVAL : 0;
        });
        vm.on<kvm_msi>(KVM_SIGNAL_MSI, [this](const kvm_msi& msi) {
            sent.push_back(msi);
            return 1;
        });
        vm.on<kvm_irq_routing>(KVM_SET_GSI_ROUTING, [this](const kvm_irq_routing& table) {
            const auto* first = reinterpret_cast<const kvm_irq_routing_entry*>(&table + 1);
            routes.assign(first, first + table.nr);
            return 0;
        });
        ASSERT_TRUE(apics.create());
    }

    FakeHandle vm;
    KvmApics apics{vm};
    std::vector<kvm_msi> sent;
    std::vector<kvm_irq_routing_entry> routes;
};

TEST_F(KvmApicsTest, MessagesReachTheKernel) {
    create(true);
    apics.send_msi({0xFEE0'3004, 0x4041});

    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent[0].address_lo, 0xFEE0'3004U);
    EXPECT_EQ(sent[0].address_hi, 0U);
    EXPECT_EQ(sent[0].data, 0x4041U);
}

TEST_F(KvmApicsTest, WideDestinationsGoToTheHighHalf) {
    create(true);
    apics.send_msi({0xFEE0'1000 | 2U << 5, 0x41});  // id 0x201

    EXPECT_EQ(sent.at(0).address_lo, 0xFEE0'1000U);
    EXPECT_EQ(sent.at(0).address_hi, 0x200U);
}

TEST_F(KvmApicsTest, AnOldKernelGetsTheAddressAsItIs) {
    create(false);
    EXPECT_FALSE(apics.wide_targets());
    apics.send_msi({0xFEE0'1040, 0x41});

    EXPECT_EQ(sent.at(0).address_lo, 0xFEE0'1040U);
    EXPECT_EQ(sent.at(0).address_hi, 0U);
}

TEST_F(KvmApicsTest, WhatAddressesNoApicVanishes) {
    create(true);
    apics.send_msi({0xFED0'0000, 0x41});
    apics.send_msi({0x1'FEE0'0000, 0x41});

    EXPECT_TRUE(sent.empty());
}

TEST_F(KvmApicsTest, TheKernelKnowsTheRoutesOfLevels) {
    create(true);
    apics.set_level_route(9, kLevel);

    ASSERT_EQ(routes.size(), 1U);
    EXPECT_EQ(routes[0].gsi, 9U);
    EXPECT_EQ(routes[0].type, unsigned{KVM_IRQ_ROUTING_MSI});
    EXPECT_EQ(routes[0].u.msi.address_lo, 0xFEE0'1000U);
    EXPECT_EQ(routes[0].u.msi.data, 0xC030U);

    apics.set_level_route(9, std::nullopt);
    EXPECT_TRUE(routes.empty());
}

TEST_F(KvmApicsTest, WhatChangesNothingIsNotTold) {
    create(true);
    apics.set_level_route(4, std::nullopt);
    EXPECT_EQ(vm.count(KVM_SET_GSI_ROUTING), 0U);

    apics.set_level_route(9, kLevel);
    apics.set_level_route(9, kLevel);
    apics.set_level_route(KvmApics::kIoApicInputs, kLevel);
    EXPECT_EQ(vm.count(KVM_SET_GSI_ROUTING), 1U);
}

TEST_F(KvmApicsTest, RegistersLieSixteenBytesApart) {
    create(true);
    FakeHandle vcpu;
    kvm_lapic_state page{};
    vcpu.on<kvm_lapic_state>(KVM_SET_LAPIC, [&](const kvm_lapic_state& set) {
        page = set;
        return 0;
    });
    vcpu.on<kvm_lapic_state>(KVM_GET_LAPIC, [&](kvm_lapic_state& get) {
        get = page;
        return 0;
    });
    vcpu.on<kvm_msrs>(KVM_SET_MSRS, [](const kvm_msrs&) { return 1; });
    vcpu.on<kvm_msrs>(KVM_GET_MSRS, [](const kvm_msrs&) { return 1; });
    apics.add_vcpu(vcpu);
    ApicRegisters registers;
    registers.page[0xF] = 0x1FF;

    ASSERT_TRUE(apics.set_apic(0, registers));

    EXPECT_EQ(static_cast<uint8_t>(page.regs[0xF0]), 0xFF);
    EXPECT_EQ(static_cast<uint8_t>(page.regs[0xF1]), 0x01);
    EXPECT_EQ(apics.get_apic(0)->page, registers.page);
}

TEST_F(KvmApicsTest, ABaseThatKvmRefusesIsAnError) {
    create(true);
    FakeHandle vcpu;
    vcpu.on<kvm_msrs>(KVM_SET_MSRS, [](const kvm_msrs&) { return 0; });
    apics.add_vcpu(vcpu);

    const auto set = apics.set_apic(0, {});

    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code(), ErrorCode::invalid_data);
}

}  // namespace
}  // namespace banyan::kvm
