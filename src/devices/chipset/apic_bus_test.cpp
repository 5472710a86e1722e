#include "devices/chipset/apic_bus.hpp"

#include <bit>
#include <gtest/gtest.h>
#include <initializer_list>

#include "devices/chipset/local_apic_rig.hpp"

namespace banyan {
namespace {

using R = ApicRegister;

constexpr uint32_t kLogical = 1 << 11;
constexpr uint32_t kIcrAssert = 1 << 14;
constexpr uint32_t kIcrLevel = 1 << 15;
constexpr uint32_t kSelf = 1 << 18;
constexpr uint32_t kAll = 2 << 18;
constexpr uint32_t kAllButSelf = 3 << 18;

constexpr uint32_t mode(DeliveryMode m) {
    return static_cast<uint32_t>(m) << 8;
}

struct SmpRig : ApicRig {
    explicit SmpRig(unsigned cpus = 4) : ApicRig(cpus) { enable_all(); }

    // The CPUs that have an interrupt, as a mask; all are handled.
    unsigned take_all() {
        unsigned cpus = 0;
        for (unsigned cpu = 0; cpu < apics.size(); ++cpu) {
            if (!acknowledge(cpu)) continue;
            cpus |= 1U << cpu;
            if (apic(cpu).claims(Gpa{0xFEE00000})) {
                eoi(cpu);
            } else {
                BANYAN_ASSERT(write_msr(R::eoi, 0, cpu));
            }
        }
        return cpus;
    }
    void set_logical(std::initializer_list<uint32_t> ids, uint32_t dfr) {
        unsigned cpu = 0;
        for (const uint32_t id : ids) {
            write(R::dfr, dfr, cpu);
            write(R::ldr, id << 24, cpu);
            ++cpu;
        }
    }
    unsigned msi(uint64_t address, uint32_t data) {
        bus.send_msi({.address = address, .data = data});
        return take_all();
    }
};

TEST(ApicBus, PhysicalIpi) {
    SmpRig rig;
    rig.send_ipi(2, kIcrAssert | 0x41, 0);
    EXPECT_EQ(rig.signals[2]->interrupts, 1U);
    EXPECT_EQ(rig.acknowledge(2), 0x41);
    rig.eoi(2);
    EXPECT_EQ(rig.take_all(), 0U);
    EXPECT_EQ(rig.read(R::icr_low), kIcrAssert | 0x41U) << "delivery status is 0";
    EXPECT_EQ(rig.read(R::icr_high), 2U << 24);
}

TEST(ApicBus, PhysicalBroadcast) {
    SmpRig rig;
    rig.send_ipi(0xFF, kIcrAssert | 0x41, 1);
    EXPECT_EQ(rig.take_all(), 0b1111U);
}

TEST(ApicBus, NobodyAtTheDestination) {
    SmpRig rig;
    rig.send_ipi(77, kIcrAssert | 0x41);
    EXPECT_EQ(rig.take_all(), 0U);
}

TEST(ApicBus, Shorthands) {
    SmpRig rig;
    rig.send_ipi(3, kSelf | 0x41, 1);
    EXPECT_EQ(rig.take_all(), 0b0010U);
    rig.send_ipi(3, kAll | 0x41, 1);
    EXPECT_EQ(rig.take_all(), 0b1111U);
    rig.send_ipi(3, kAllButSelf | 0x41, 1);
    EXPECT_EQ(rig.take_all(), 0b1101U);
}

TEST(ApicBus, IpisAreEdges) {
    SmpRig rig;
    rig.send_ipi(1, kIcrLevel | kIcrAssert | 0x41);
    ASSERT_EQ(rig.acknowledge(1), 0x41);
    EXPECT_FALSE(rig.test(R::tmr, 0x41, 1));
}

TEST(ApicBus, FlatLogicalIds) {
    SmpRig rig;
    rig.set_logical({1, 2, 4, 8}, 0xFFFFFFFF);
    rig.send_ipi(0b1010, kLogical | kIcrAssert | 0x41);
    EXPECT_EQ(rig.take_all(), 0b1010U);
    rig.send_ipi(0xFF, kLogical | kIcrAssert | 0x41);
    EXPECT_EQ(rig.take_all(), 0b1111U);
    rig.send_ipi(0x10, kLogical | kIcrAssert | 0x41);
    EXPECT_EQ(rig.take_all(), 0U);
}

TEST(ApicBus, ClusterLogicalIds) {
    SmpRig rig;
    rig.set_logical({0x01, 0x02, 0x11, 0x12}, 0x0FFFFFFF);
    rig.send_ipi(0x03, kLogical | kIcrAssert | 0x41);
    EXPECT_EQ(rig.take_all(), 0b0011U);
    rig.send_ipi(0x12, kLogical | kIcrAssert | 0x41);
    EXPECT_EQ(rig.take_all(), 0b1000U);
    rig.send_ipi(0xFF, kLogical | kIcrAssert | 0x41);
    EXPECT_EQ(rig.take_all(), 0b1111U);
}

TEST(ApicBus, InitAndStartUp) {
    SmpRig rig(2);
    rig.send_ipi(1, kIcrLevel | kIcrAssert | mode(DeliveryMode::init));
    EXPECT_EQ(rig.signals[1]->inits, 1U);
    EXPECT_EQ(rig.read(R::svr, 1), 0xFFU);
    rig.send_ipi(1, kIcrLevel | mode(DeliveryMode::init));
    EXPECT_EQ(rig.signals[1]->inits, 1U) << "level de-assert";
    rig.send_ipi(1, mode(DeliveryMode::start_up) | 0x9A);
    EXPECT_EQ(rig.signals[1]->sipis, 1U) << "although disabled by software";
    EXPECT_EQ(rig.signals[1]->sipi_vector, 0x9A);
    rig.send_ipi(0, kAllButSelf | kIcrAssert | mode(DeliveryMode::init));
    EXPECT_EQ(rig.signals[1]->inits, 2U);
    EXPECT_EQ(rig.signals[0]->inits, 0U);
}

TEST(ApicBus, InitIsNotForOneself) {
    SmpRig rig(2);
    rig.send_ipi(0, kAll | kIcrAssert | mode(DeliveryMode::init));
    rig.send_ipi(0, kSelf | kIcrAssert | mode(DeliveryMode::start_up));
    EXPECT_EQ(rig.signals[0]->inits + rig.signals[1]->inits, 0U);
    EXPECT_EQ(rig.signals[0]->sipis, 0U);
}

TEST(ApicBus, NmiAndSmi) {
    SmpRig rig(3);
    rig.send_ipi(0, kAllButSelf | kIcrAssert | mode(DeliveryMode::nmi), 1);
    rig.send_ipi(2, kIcrAssert | mode(DeliveryMode::smi), 1);
    EXPECT_EQ(rig.signals[0]->nmis, 1U);
    EXPECT_EQ(rig.signals[1]->nmis, 0U);
    EXPECT_EQ(rig.signals[2]->nmis, 1U);
    EXPECT_EQ(rig.signals[2]->smis, 1U);
    EXPECT_EQ(rig.take_all(), 0U);
}

TEST(ApicBus, ReservedModesGoNowhere) {
    SmpRig rig(2);
    rig.ext_int.vector = 0x20;
    rig.send_ipi(1, kIcrAssert | mode(DeliveryMode::reserved) | 0x41);
    rig.send_ipi(1, kIcrAssert | mode(DeliveryMode::ext_int) | 0x41);
    EXPECT_EQ(rig.take_all(), 0U);
}

TEST(ApicBus, IllegalVectorIsSeenOnBothSides) {
    SmpRig rig(2);
    rig.send_ipi(1, kIcrAssert | 0x0F, 0);
    rig.write(R::esr, 0, 0);
    rig.write(R::esr, 0, 1);
    EXPECT_EQ(rig.read(R::esr, 0), 0x20U);
    EXPECT_EQ(rig.read(R::esr, 1), 0x40U);
}

TEST(ApicBus, LowestPriorityGoesToTheIdlest) {
    SmpRig rig(3);
    rig.set_logical({1, 2, 4}, 0xFFFFFFFF);
    rig.write(R::tpr, 0x30, 0);
    rig.write(R::tpr, 0x10, 1);
    rig.write(R::tpr, 0x20, 2);
    for (int i = 0; i < 3; ++i) {
        rig.send_ipi(0b111, kLogical | mode(DeliveryMode::lowest_priority) | 0x61);
        EXPECT_EQ(rig.take_all(), 0b010U);
    }
    rig.send_ipi(0b101, kLogical | mode(DeliveryMode::lowest_priority) | 0x61);
    EXPECT_EQ(rig.take_all(), 0b100U);
}

TEST(ApicBus, LowestPriorityTakesTurnsAmongEquals) {
    SmpRig rig(4);
    rig.set_logical({1, 2, 4, 8}, 0xFFFFFFFF);
    unsigned taken = 0;
    for (int i = 0; i < 4; ++i) {
        rig.send_ipi(0xFF, kLogical | mode(DeliveryMode::lowest_priority) | 0x61);
        const unsigned cpu = rig.take_all();
        EXPECT_TRUE(std::has_single_bit(cpu));
        taken |= cpu;
    }
    EXPECT_EQ(taken, 0b1111U);
}

TEST(ApicBus, LowestPrioritySkipsDisabledApics) {
    SmpRig rig(2);
    rig.set_logical({1, 2}, 0xFFFFFFFF);
    rig.write(R::svr, 0xFF, 0);
    rig.write(R::tpr, 0xF0 - 0x80, 1);
    for (int i = 0; i < 2; ++i) {
        rig.send_ipi(0xFF, kLogical | mode(DeliveryMode::lowest_priority) | 0xF1, 1);
        EXPECT_EQ(rig.take_all(), 0b10U);
    }
}

TEST(ApicBus, X2ApicPhysical) {
    ApicRig rig(1, 0x105);
    rig.add(0x240);
    rig.enter_x2apic(0);
    rig.enter_x2apic(1);
    ASSERT_TRUE(rig.write_msr(R::icr_low, uint64_t{0x240} << 32 | kIcrAssert | 0x41, 0));
    EXPECT_EQ(rig.acknowledge(1), 0x41);
    EXPECT_EQ(rig.read_msr(R::icr_low, 0), uint64_t{0x240} << 32 | kIcrAssert | 0x41);
    ASSERT_TRUE(rig.write_msr(R::icr_low, uint64_t{0xFFFFFFFF} << 32 | kIcrAssert | 0x51, 0));
    EXPECT_EQ(rig.acknowledge(0), 0x51);
    EXPECT_EQ(rig.acknowledge(1), 0x51);
    ASSERT_TRUE(rig.write_msr(R::icr_low, uint64_t{0xFF} << 32 | kIcrAssert | 0x61, 0));
    EXPECT_FALSE(rig.apic(0).interrupt_pending()) << "FF is an id like another";
}

TEST(ApicBus, X2ApicLogicalIdsAreDerived) {
    ApicRig rig(1, 0x22);
    rig.add(0x23);
    rig.add(0x32);
    for (unsigned cpu = 0; cpu < 3; ++cpu)
        rig.enter_x2apic(cpu);
    const uint64_t cluster2 = uint64_t{0x0002'000C} << 32;  // ids 22 and 23
    ASSERT_TRUE(rig.write_msr(R::icr_low, cluster2 | kLogical | kIcrAssert | 0x41, 2));
    EXPECT_TRUE(rig.apic(0).interrupt_pending());
    EXPECT_TRUE(rig.apic(1).interrupt_pending());
    EXPECT_FALSE(rig.apic(2).interrupt_pending());
}

TEST(ApicBus, MsiPhysical) {
    SmpRig rig;
    EXPECT_EQ(rig.msi(0xFEE02000, 0x61), 0b0100U);
    EXPECT_EQ(rig.msi(0xFEEFF000, 0x61), 0b1111U);
    EXPECT_EQ(rig.msi(0xFED02000, 0x61), 0U);
    EXPECT_EQ(rig.msi(0x1'FEE0'2000, 0x61), 0U);
}

TEST(ApicBus, MsiLogicalAndRedirection) {
    SmpRig rig;
    rig.set_logical({1, 2, 4, 8}, 0xFFFFFFFF);
    EXPECT_EQ(rig.msi(0xFEE0C004, 0x61), 0b1100U);
    EXPECT_TRUE(std::has_single_bit(rig.msi(0xFEE0C00C, 0x61))) << "redirection hint";
    EXPECT_TRUE(std::has_single_bit(rig.msi(0xFEE0C004, 0x161))) << "lowest priority";
    EXPECT_EQ(rig.msi(0xFEE03008, 0x61), 0b1000U) << "the hint of a physical destination";
}

TEST(ApicBus, MsiTriggerModes) {
    SmpRig rig;
    EXPECT_EQ(rig.msi(0xFEE01000, 0xC061), 0b10U);
    EXPECT_TRUE(rig.test(R::tmr, 0x61, 1));
    EXPECT_EQ(rig.msi(0xFEE01000, 0x8061), 0U) << "the level falls";
    EXPECT_EQ(rig.msi(0xFEE01000, 0x0061), 0b10U);
    EXPECT_FALSE(rig.test(R::tmr, 0x61, 1));
}

TEST(ApicBus, MsiDeliveryModes) {
    SmpRig rig;
    rig.bus.send_msi({.address = 0xFEE01000, .data = mode(DeliveryMode::nmi)});
    rig.bus.send_msi({.address = 0xFEE01000, .data = mode(DeliveryMode::init)});
    rig.bus.send_msi({.address = 0xFEE01000, .data = mode(DeliveryMode::start_up) | 0x10});
    EXPECT_EQ(rig.signals[1]->nmis, 1U);
    EXPECT_EQ(rig.signals[1]->inits, 1U);
    EXPECT_EQ(rig.signals[1]->sipis, 0U);
}

TEST(ApicBus, MsiExtendedDestination) {
    ApicRig rig(1, 0x105);
    rig.enter_x2apic();
    rig.bus.send_msi({.address = 0xFEE05020, .data = 0x61});
    EXPECT_EQ(rig.acknowledge(), 0x61);
}

TEST(ApicBus, MsiReachesX2ApicMode) {
    SmpRig rig;
    for (unsigned cpu = 0; cpu < 4; ++cpu)
        rig.enter_x2apic(cpu);
    EXPECT_EQ(rig.msi(0xFEE03000, 0x61), 0b1000U);
    EXPECT_EQ(rig.msi(0xFEEFF000, 0x61), 0b1111U);
    EXPECT_EQ(rig.msi(0xFEE0A004, 0x61), 0b1010U) << "logical ids of cluster 0";
}

TEST(ApicBus, DisabledApicIsDeaf) {
    SmpRig rig(2);
    ASSERT_TRUE(rig.apic(1).write_apic_msr(kMsrApicBase, 0xFEE00000));
    rig.send_ipi(1, kIcrAssert | mode(DeliveryMode::nmi));
    rig.send_ipi(1, kIcrAssert | mode(DeliveryMode::init));
    EXPECT_EQ(rig.signals[1]->nmis + rig.signals[1]->inits, 0U);
}

}  // namespace
}  // namespace banyan
