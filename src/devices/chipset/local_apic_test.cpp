#include "devices/chipset/local_apic.hpp"

#include <gtest/gtest.h>

#include "devices/chipset/local_apic_rig.hpp"
#include "devices/chipset/local_apic_state.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

using R = ApicRegister;

TEST(LocalApic, StartsAsAfterPowerOn) {
    ApicRig rig(2);
    EXPECT_EQ(rig.base(0), 0xFEE00900U);
    EXPECT_EQ(rig.base(1), 0xFEE00800U);
    EXPECT_EQ(rig.read(R::id, 1), 0x01000000U);
    EXPECT_EQ(rig.read(R::version), 0x01050014U);
    EXPECT_EQ(rig.read(R::svr), 0xFFU);
    EXPECT_EQ(rig.read(R::dfr), 0xFFFFFFFFU);
    EXPECT_EQ(rig.read(R::ldr), 0U);
    for (const R reg :
         {R::lvt_timer, R::lvt_thermal, R::lvt_perf, R::lvt_lint0, R::lvt_lint1, R::lvt_error})
        EXPECT_EQ(rig.read(reg), kMaskedLvt);
    EXPECT_EQ(rig.apic(1).name(), "local_apic1");
}

TEST(LocalApic, KeepsOnlyDefinedBits) {
    ApicRig rig;
    rig.enable();
    const auto kept = [&](R reg) {
        rig.write(reg, 0xFFFFFFFF);
        return rig.read(reg);
    };
    EXPECT_EQ(kept(R::tpr), 0xFFU);
    EXPECT_EQ(kept(R::ldr), 0xFF000000U);
    EXPECT_EQ(kept(R::dfr), 0xFFFFFFFFU);
    EXPECT_EQ(kept(R::svr), 0x13FFU);
    EXPECT_EQ(kept(R::icr_high), 0xFF000000U);
    EXPECT_EQ(kept(R::lvt_timer), 0x700FFU);
    EXPECT_EQ(kept(R::lvt_perf), 0x107FFU);
    EXPECT_EQ(kept(R::lvt_lint0), 0x1A7FFU);
    EXPECT_EQ(kept(R::lvt_error), 0x100FFU);
    EXPECT_EQ(kept(R::divide), 0xBU);
    rig.write(R::dfr, 0);
    EXPECT_EQ(rig.read(R::dfr), 0x0FFFFFFFU);
}

TEST(LocalApic, IgnoresWritesToReadOnlyRegisters) {
    ApicRig rig;
    const auto before = saved_bytes(rig.apic());
    for (const R reg :
         {R::id, R::version, R::apr, R::ppr, R::rrd, R::isr, R::tmr, R::irr, R::current_count})
        rig.write(reg, 0xFFFFFFFF);
    EXPECT_EQ(saved_bytes(rig.apic()), before);
}

TEST(LocalApic, RefusesOtherThanAlignedDoubleWords) {
    ApicRig rig;
    uint64_t value = 0;
    EXPECT_EQ(rig.apic().mmio_write(0x80, 1, 0x20), IoStatus::bad_size);
    EXPECT_EQ(rig.apic().mmio_write(0x84, 4, 0x20), IoStatus::bad_size);
    EXPECT_EQ(rig.apic().mmio_write(0x80, 8, 0x20), IoStatus::bad_size);
    EXPECT_EQ(rig.apic().mmio_read(0x80, 8, value), IoStatus::bad_size);
    EXPECT_EQ(rig.apic().mmio_read(0x84, 4, value), IoStatus::bad_size);
    EXPECT_EQ(rig.read(R::tpr), 0U);
    // Reads inside a register give that part of it.
    EXPECT_EQ(rig.apic().mmio_read(0x32, 1, value), IoStatus::ok);
    EXPECT_EQ(value & 0xFF, 5U);
}

TEST(LocalApic, TakesTheHighestVectorFirst) {
    ApicRig rig;
    rig.enable();
    rig.request(0x31);
    rig.request(0x85);
    rig.request(0x40);
    EXPECT_EQ(rig.acknowledge(), 0x85);
    EXPECT_TRUE(rig.test(R::isr, 0x85));
    EXPECT_FALSE(rig.test(R::irr, 0x85));
    EXPECT_TRUE(rig.test(R::irr, 0x40));
    EXPECT_FALSE(rig.apic().interrupt_pending());
    EXPECT_EQ(rig.acknowledge(), std::nullopt);
    rig.eoi();
    EXPECT_EQ(rig.acknowledge(), 0x40);
    rig.eoi();
    EXPECT_EQ(rig.acknowledge(), 0x31);
    rig.eoi();
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

TEST(LocalApic, NestsHigherClassesOnly) {
    ApicRig rig;
    rig.enable();
    rig.request(0x52);
    ASSERT_EQ(rig.acknowledge(), 0x52);
    rig.request(0x5F);  // same class
    EXPECT_EQ(rig.acknowledge(), std::nullopt);
    rig.request(0x60);
    EXPECT_EQ(rig.acknowledge(), 0x60);
    EXPECT_EQ(rig.read(R::ppr), 0x60U);
    rig.eoi();  // ends 60
    EXPECT_EQ(rig.read(R::ppr), 0x50U);
    EXPECT_FALSE(rig.apic().interrupt_pending());
    rig.eoi();  // ends 52
    EXPECT_EQ(rig.acknowledge(), 0x5F);
}

// Intel SDM 11.8.3.1, for every pair of classes.
TEST(LocalApic, PriorityMatrix) {
    for (unsigned service = 1; service < 16; ++service) {
        ApicRig rig;
        rig.enable();
        rig.request(static_cast<uint8_t>(service << 4 | 3));
        ASSERT_TRUE(rig.acknowledge());
        for (unsigned task = 0; task < 16; ++task) {
            rig.write(R::tpr, task << 4 | 5);
            const uint32_t expected = task >= service ? task << 4 | 5 : service << 4;
            EXPECT_EQ(rig.read(R::ppr), expected)
                << "TPR class " << task << ", ISR class " << service;
            EXPECT_EQ(rig.apic().read_cr8(), task);
        }
    }
}

TEST(LocalApic, TaskPriorityHoldsInterruptsBack) {
    for (unsigned task = 0; task < 16; ++task) {
        for (unsigned vector_class = 1; vector_class < 16; ++vector_class) {
            ApicRig rig;
            rig.enable();
            rig.apic().write_cr8(static_cast<uint8_t>(task));
            rig.request(static_cast<uint8_t>(vector_class << 4));
            EXPECT_EQ(rig.apic().interrupt_pending(), vector_class > task);
            EXPECT_EQ(rig.signals[0]->interrupts, vector_class > task ? 1U : 0U);
            EXPECT_EQ(rig.acknowledge().has_value(), vector_class > task);
        }
    }
}

TEST(LocalApic, SignalsWhenTheTaskPriorityFalls) {
    ApicRig rig;
    rig.enable();
    rig.apic().write_cr8(8);
    rig.request(0x61);
    EXPECT_EQ(rig.signals[0]->interrupts, 0U);
    rig.apic().write_cr8(5);
    EXPECT_EQ(rig.signals[0]->interrupts, 1U);
    EXPECT_EQ(rig.acknowledge(), 0x61);
}

TEST(LocalApic, MergesARequestThatIsPending) {
    ApicRig rig;
    rig.enable();
    rig.request(0x61);
    rig.request(0x61);
    EXPECT_EQ(rig.signals[0]->interrupts, 1U);
    EXPECT_EQ(rig.acknowledge(), 0x61);
    rig.request(0x61);  // while in service: one more is held
    rig.eoi();
    EXPECT_EQ(rig.acknowledge(), 0x61);
    rig.eoi();
    EXPECT_EQ(rig.acknowledge(), std::nullopt);
}

TEST(LocalApic, TriggerModeFollowsTheLastRequest) {
    ApicRig rig;
    rig.enable();
    rig.request(0x61, TriggerMode::level);
    EXPECT_TRUE(rig.test(R::tmr, 0x61));
    rig.request(0x61, TriggerMode::edge);
    EXPECT_FALSE(rig.test(R::tmr, 0x61));
}

TEST(LocalApic, SoftwareDisableMasksAndIgnores) {
    ApicRig rig;
    rig.enable();
    rig.write(R::lvt_lint1, 0x400);
    rig.request(0x61);
    rig.write(R::svr, 0xFF);
    EXPECT_EQ(rig.read(R::lvt_lint1), kMaskedLvt | 0x400);
    rig.write(R::lvt_lint1, 0x400);
    EXPECT_EQ(rig.read(R::lvt_lint1), kMaskedLvt | 0x400) << "cannot be unmasked";
    rig.request(0x71);
    EXPECT_FALSE(rig.test(R::irr, 0x71));
    EXPECT_EQ(rig.acknowledge(), 0x61) << "what was accepted before is held";
    rig.apic().accept({.mode = DeliveryMode::nmi});
    EXPECT_EQ(rig.signals[0]->nmis, 1U);
}

TEST(LocalApic, ReportsIllegalVectorsAndRegisters) {
    ApicRig rig;
    rig.enable();
    rig.write(R::lvt_error, 0x99);
    rig.request(0x0F);
    EXPECT_EQ(rig.acknowledge(), 0x99);
    rig.eoi();
    EXPECT_EQ(rig.read(R::esr), 0U) << "not before it is written";
    rig.write(R::esr, 0);
    EXPECT_EQ(rig.read(R::esr), 0x40U);
    rig.send_ipi(0, 0x05);
    rig.write(R::esr, 0);
    EXPECT_EQ(rig.read(R::esr), 0x60U) << "sent to itself: both sides";
    (void)rig.read(static_cast<R>(0x3D));
    rig.write(R::esr, 0);
    EXPECT_EQ(rig.read(R::esr), 0x80U);
    rig.write(R::esr, 0);
    EXPECT_EQ(rig.read(R::esr), 0U);
}

TEST(LocalApic, ErrorInterruptIsArmedByWritingEsr) {
    ApicRig rig;
    rig.enable();
    rig.write(R::lvt_error, 0x99);
    rig.request(0x01);
    rig.request(0x02);
    EXPECT_EQ(rig.acknowledge(), 0x99);
    rig.eoi();
    rig.request(0x03);
    EXPECT_EQ(rig.acknowledge(), std::nullopt);
    rig.write(R::esr, 0);
    rig.request(0x03);
    EXPECT_EQ(rig.acknowledge(), 0x99);
}

TEST(LocalApic, IllegalErrorVectorDoesNotRecurse) {
    ApicRig rig;
    rig.enable();
    rig.write(R::lvt_error, 0x01);
    rig.request(0x02);
    rig.write(R::esr, 0);
    EXPECT_EQ(rig.read(R::esr), 0x40U);
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

TEST(LocalApic, Lint1IsNmi) {
    ApicRig rig;
    rig.enable();
    rig.write(R::lvt_lint1, 0x400);
    rig.apic().set_irq(LocalApic::kLint1, true);
    rig.apic().set_irq(LocalApic::kLint1, true);
    EXPECT_EQ(rig.signals[0]->nmis, 1U) << "an edge";
    rig.write(R::lvt_lint1, 0x10400);
    rig.apic().set_irq(LocalApic::kLint1, false);
    rig.apic().set_irq(LocalApic::kLint1, true);
    EXPECT_EQ(rig.signals[0]->nmis, 1U) << "masked";
}

TEST(LocalApic, Lint0Edge) {
    ApicRig rig;
    rig.enable();
    rig.write(R::lvt_lint0, 0x51);
    rig.apic().set_irq(LocalApic::kLint0, true);
    EXPECT_EQ(rig.acknowledge(), 0x51);
    rig.eoi();
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

TEST(LocalApic, Lint0LevelComesAgainAfterItsEnd) {
    ApicRig rig;
    rig.enable();
    rig.write(R::lvt_lint0, 0x8051);
    rig.apic().set_irq(LocalApic::kLint0, true);
    EXPECT_EQ(rig.read(R::lvt_lint0), 0xC051U) << "remote IRR";
    EXPECT_EQ(rig.acknowledge(), 0x51);
    rig.eoi();
    EXPECT_EQ(rig.acknowledge(), 0x51);
    rig.apic().set_irq(LocalApic::kLint0, false);
    rig.eoi();
    EXPECT_FALSE(rig.apic().interrupt_pending());
    EXPECT_EQ(rig.read(R::lvt_lint0), 0x8051U);
}

TEST(LocalApic, Lint0LevelIsSeenWhenUnmasked) {
    ApicRig rig;
    rig.enable();
    rig.write(R::lvt_lint0, 0x18051);
    rig.apic().set_irq(LocalApic::kLint0, true);
    EXPECT_FALSE(rig.apic().interrupt_pending());
    rig.write(R::lvt_lint0, 0x8051);
    EXPECT_EQ(rig.acknowledge(), 0x51);
}

TEST(LocalApic, VirtualWirePassesThe8259s) {
    ApicRig rig;
    rig.ext_int.apic = &rig.apic();
    rig.ext_int.request(0x08);
    EXPECT_FALSE(rig.apic().interrupt_pending()) << "LINT0 is masked";
    rig.apic().set_virtual_wire_mode();
    EXPECT_TRUE(rig.apic().interrupt_pending());
    EXPECT_EQ(rig.signals[0]->interrupts, 1U);
    rig.apic().write_cr8(15);
    EXPECT_EQ(rig.acknowledge(), 0x08) << "whatever the priority";
    EXPECT_FALSE(rig.apic().interrupt_pending());
    EXPECT_FALSE(rig.test(R::isr, 0x08)) << "not the APIC's business";
}

TEST(LocalApic, ExtIntComesBeforeTheApicsOwn) {
    ApicRig rig;
    rig.ext_int.apic = &rig.apic();
    rig.apic().set_virtual_wire_mode();
    rig.request(0xF1);
    rig.ext_int.request(0x20);
    EXPECT_EQ(rig.acknowledge(), 0x20);
    EXPECT_EQ(rig.acknowledge(), 0xF1);
}

TEST(LocalApic, ExtIntThatWentAwayLeavesTheRest) {
    ApicRig rig;
    rig.ext_int.apic = &rig.apic();
    rig.apic().set_virtual_wire_mode();
    rig.ext_int.request(0x20);
    rig.request(0x41);
    rig.ext_int.vector.reset();
    EXPECT_EQ(rig.acknowledge(), 0x41);
}

TEST(LocalApic, NothingToTakeRaisesTheSignalAgainWhileSomethingWaits) {
    ApicRig rig;
    rig.ext_int.apic = &rig.apic();
    rig.apic().set_virtual_wire_mode();
    rig.ext_int.request(0x20);
    rig.ext_int.vector.reset();  // the wire stays
    EXPECT_EQ(rig.acknowledge(), std::nullopt);
    EXPECT_EQ(rig.signals[0]->interrupts, 2U);
}

TEST(LocalApic, ExtIntMessageRunsTheAcknowledgeCycle) {
    ApicRig rig(2);
    rig.enable_all();
    rig.ext_int.vector = 0x21;
    rig.bus.send_msi({.address = 0xFEE01000, .data = 0x700});
    EXPECT_TRUE(rig.apic(1).interrupt_pending());
    EXPECT_EQ(rig.acknowledge(1), 0x21);
    EXPECT_FALSE(rig.apic(1).interrupt_pending());
}

TEST(LocalApic, DisabledApicIsTwoPins) {
    ApicRig rig;
    rig.ext_int.apic = &rig.apic();
    ASSERT_TRUE(rig.apic().write_apic_msr(kMsrApicBase, 0xFEE00100));
    uint64_t value = 0;
    EXPECT_EQ(rig.apic().mmio_read(0x20, 4, value), IoStatus::no_register);
    EXPECT_FALSE(rig.apic().claims(Gpa{0xFEE00020}));
    rig.ext_int.request(0x33);
    EXPECT_EQ(rig.acknowledge(), 0x33);
    rig.apic().set_irq(LocalApic::kLint1, true);
    EXPECT_EQ(rig.signals[0]->nmis, 1U);
    rig.request(0x61);
    EXPECT_EQ(rig.acknowledge(), std::nullopt);
}

TEST(LocalApic, DisablingLosesTheState) {
    ApicRig rig;
    rig.enable();
    rig.write(R::tpr, 0x20);
    rig.request(0x61);
    ASSERT_TRUE(rig.apic().write_apic_msr(kMsrApicBase, 0xFEE00100));
    ASSERT_TRUE(rig.apic().write_apic_msr(kMsrApicBase, 0xFEE00900));
    EXPECT_EQ(rig.read(R::svr), 0xFFU);
    EXPECT_EQ(rig.read(R::tpr), 0U);
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

TEST(LocalApic, BaseMovesThePage) {
    ApicRig rig;
    EXPECT_TRUE(rig.apic().claims(Gpa{0xFEE00FFF}));
    EXPECT_FALSE(rig.apic().claims(Gpa{0xFEE01000}));
    ASSERT_TRUE(rig.apic().write_apic_msr(kMsrApicBase, 0x1'2345'6900));
    EXPECT_TRUE(rig.apic().claims(Gpa{0x1'2345'6020}));
    EXPECT_FALSE(rig.apic().claims(Gpa{0xFEE00020}));
    EXPECT_EQ(rig.base(), 0x1'2345'6900U);
}

// Intel SDM 11.12.5, figure 11-27: from (row) to (column) of disabled, xAPIC, x2APIC, and the
// combination that does not exist.
TEST(LocalApic, ModeTransitions) {
    constexpr uint64_t kModes[] = {0xFEE00000, 0xFEE00800, 0xFEE00C00, 0xFEE00400};
    constexpr bool kAllowed[3][4] = {
        {true, true, false, false},
        {true, true, true, false},
        {true, false, true, false},
    };
    for (unsigned from = 0; from < 3; ++from) {
        for (unsigned to = 0; to < 4; ++to) {
            ApicRig rig;
            if (from == 2) {
                ASSERT_TRUE(rig.apic().write_apic_msr(kMsrApicBase, kModes[1]));
            }
            ASSERT_TRUE(rig.apic().write_apic_msr(kMsrApicBase, kModes[from]));
            EXPECT_EQ(rig.apic().write_apic_msr(kMsrApicBase, kModes[to]), kAllowed[from][to])
                << from << " to " << to;
            EXPECT_EQ(rig.base(), kAllowed[from][to] ? kModes[to] : kModes[from]);
        }
    }
}

TEST(LocalApic, BaseReservedBitsFault) {
    ApicRig rig;
    for (const uint64_t bad : {bit(0), bit(7), bit(9), bit(52), bit(63)})
        EXPECT_FALSE(rig.apic().write_apic_msr(kMsrApicBase, 0xFEE00900 | bad));
    EXPECT_EQ(rig.base(), 0xFEE00900U);
}

TEST(LocalApic, X2ApicRegistersNeedX2ApicMode) {
    ApicRig rig;
    EXPECT_FALSE(rig.read_msr(R::id));
    EXPECT_FALSE(rig.write_msr(R::tpr, 0));
    rig.enter_x2apic();
    EXPECT_TRUE(rig.read_msr(R::id));
    EXPECT_FALSE(rig.apic().claims(Gpa{0xFEE00000}));
    uint64_t value = 0;
    EXPECT_EQ(rig.apic().mmio_read(0x20, 4, value), IoStatus::no_register);
    EXPECT_EQ(rig.apic().mmio_write(0x80, 4, 0), IoStatus::no_register);
}

TEST(LocalApic, X2ApicIdsAreWide) {
    ApicRig rig(1, 0x123);
    rig.enter_x2apic();
    EXPECT_EQ(rig.read_msr(R::id), 0x123U);
    EXPECT_EQ(rig.read_msr(R::ldr), 0x0012'0008U);
}

TEST(LocalApic, X2ApicAccessRights) {
    ApicRig rig;
    rig.enter_x2apic();
    for (unsigned index = 0; index < 0x100; ++index) {
        const auto reg = static_cast<R>(index);
        const bool vectors = index >= 0x10 && index < 0x28;
        const bool lvt = index >= 0x32 && index <= 0x37;
        const bool read_only = vectors || reg == R::id || reg == R::version || reg == R::ppr ||
                               reg == R::ldr || reg == R::current_count;
        const bool write_only = reg == R::eoi || reg == R::self_ipi;
        const bool both = lvt || reg == R::tpr || reg == R::svr || reg == R::esr ||
                          reg == R::icr_low || reg == R::initial_count || reg == R::divide;
        EXPECT_EQ(rig.read_msr(reg).has_value(), read_only || both) << index;
        EXPECT_EQ(rig.write_msr(reg, 0), write_only || both) << index;
        if (reg == R::svr) {
            ASSERT_TRUE(rig.write_msr(R::svr, 0x1FF));
        }
    }
    EXPECT_FALSE(rig.apic().write_apic_msr(0x7FF, 0));
    EXPECT_FALSE(rig.apic().write_apic_msr(0x900, 0));
}

TEST(LocalApic, X2ApicReservedBitsFault) {
    ApicRig rig;
    rig.enter_x2apic();
    EXPECT_FALSE(rig.write_msr(R::tpr, 0x100));
    EXPECT_FALSE(rig.write_msr(R::eoi, 1));
    EXPECT_FALSE(rig.write_msr(R::esr, 1));
    EXPECT_FALSE(rig.write_msr(R::svr, 0x400));
    EXPECT_FALSE(rig.write_msr(R::divide, 4));
    EXPECT_FALSE(rig.write_msr(R::initial_count, bit(32)));
    EXPECT_FALSE(rig.write_msr(R::lvt_timer, bit(19)));
    EXPECT_FALSE(rig.write_msr(R::lvt_error, bit(8)));
    EXPECT_FALSE(rig.write_msr(R::self_ipi, 0x100));
    EXPECT_FALSE(rig.write_msr(R::icr_low, bit(13)));
    EXPECT_FALSE(rig.write_msr(R::icr_low, bit(20)));
    EXPECT_TRUE(rig.write_msr(R::lvt_lint0, 0x5000 | kMaskedLvt)) << "read-only bits are ignored";
    EXPECT_EQ(rig.read_msr(R::lvt_lint0), kMaskedLvt);
}

TEST(LocalApic, SelfIpi) {
    ApicRig rig;
    rig.enter_x2apic();
    ASSERT_TRUE(rig.write_msr(R::self_ipi, 0x45));
    EXPECT_EQ(rig.acknowledge(), 0x45);
    ASSERT_TRUE(rig.write_msr(R::eoi, 0));
    ASSERT_TRUE(rig.write_msr(R::self_ipi, 0x05));
    ASSERT_TRUE(rig.write_msr(R::esr, 0));
    EXPECT_EQ(rig.read_msr(R::esr), 0x60U);
}

TEST(LocalApic, InitKeepsModeAndWires) {
    ApicRig rig;
    rig.enter_x2apic();
    ASSERT_TRUE(rig.write_msr(R::tpr, 0x40));
    ASSERT_TRUE(rig.apic().set_pv_eoi(0x1001));
    rig.request(0x61);
    rig.apic().accept({.mode = DeliveryMode::init});
    EXPECT_EQ(rig.signals[0]->inits, 1U);
    EXPECT_EQ(rig.base(), 0xFEE00D00U);
    EXPECT_EQ(rig.read_msr(R::svr), 0xFFU);
    EXPECT_EQ(rig.read_msr(R::tpr), 0U);
    EXPECT_EQ(rig.apic().pv_eoi(), 0U);
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

class SavedApic : public ::testing::Test {
protected:
    // All of a rig, of which the test sees the first APIC.
    struct Owner {
        std::shared_ptr<ApicRig> rig = std::make_shared<ApicRig>();
        LocalApic& operator*() const { return rig->apic(); }
        LocalApic* operator->() const { return &rig->apic(); }
    };
    static Owner make() { return {}; }
};

TEST_F(SavedApic, HasTheCommonProperties) {
    check_saved_state(make, [](LocalApic& apic) {
        const auto write = [&](R reg, uint32_t value) {
            ASSERT_EQ(apic.mmio_write(static_cast<uint64_t>(reg) << 4, 4, value), IoStatus::ok);
        };
        write(R::svr, 0x1FF);
        write(R::ldr, 0x02000000);
        write(R::tpr, 0x20);
        write(R::lvt_timer, 0x20000 | 0x61);
        write(R::divide, 0xB);
        write(R::initial_count, 1000);
        write(R::lvt_lint0, 0x8055);
        write(R::icr_high, 0x05000000);
        apic.set_irq(LocalApic::kLint1, true);
        apic.accept({.vector = 0x41, .trigger = TriggerMode::level});
        ASSERT_TRUE(apic.acknowledge_interrupt());
        apic.accept({.vector = 0x77});
        apic.accept({.vector = 0x07});
        ASSERT_TRUE(apic.set_pv_eoi(0x2001));
    });
}

TEST_F(SavedApic, GoesOnWhereItWas) {
    ApicRig before;
    before.enable();
    before.write(R::lvt_timer, 0x20061);
    before.write(R::initial_count, 1'000'000);
    before.request(0x45);
    const auto bytes = saved_bytes(before.apic());

    ApicRig after;
    StateReader reader(bytes);
    ASSERT_TRUE(after.apic().restore(reader));
    EXPECT_EQ(after.signals[0]->interrupts, 1U);
    EXPECT_EQ(after.acknowledge(), 0x45);
    after.eoi();
    after.timers.advance(2'000'000);
    EXPECT_EQ(after.acknowledge(), 0x61);
}

TEST_F(SavedApic, RefusesWhatCannotBe) {
    const auto refused = [](auto change) {
        ApicRig rig;
        rig.enable();
        const auto bytes = saved_bytes(rig.apic());
        StateReader reader(bytes);
        auto read = reader.section<LocalApicStateV1>();
        change(*read);
        StateWriter writer;
        writer.section(*read);
        StateReader changed(writer.bytes());
        const bool loaded = rig.apic().restore(changed).has_value();
        return !loaded && rig.read(R::svr) == 0xFF;  // and as after reset
    };
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.base = 0xFEE00400; }));
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.base |= bit(60); }));
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.svr |= 0x8000; }));
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.svr = 0xFF, s.lvt[0] = 0x61; }));
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.lvt[3] |= bit<uint32_t>(25); }));
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.irr[0] = 2; }));
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.divide = 4; }));
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.timer_counting = true; }));
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.pv_eoi = 0xFFFF'0000'0001; }));
    EXPECT_TRUE(refused([](LocalApicStateV1& s) { s.pv_eoi = 1, s.pv_eoi_offered = true; }));
}

}  // namespace
}  // namespace banyan
