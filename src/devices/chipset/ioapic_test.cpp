#include "devices/chipset/ioapic.hpp"

#include <gtest/gtest.h>

#include "devices/chipset/ioapic_state.hpp"
#include "devices/chipset/local_apic_rig.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

constexpr uint64_t kEntryMasked = 1 << 16;
constexpr uint64_t kEntryLevel = 1 << 15;
constexpr uint64_t kRemoteIrr = 1 << 14;
constexpr uint64_t kActiveLow = 1 << 13;

// The registers as a driver uses them.
class IoApicDriver {
public:
    explicit IoApicDriver(IoApic& ioapic) : ioapic_(ioapic) {}

    uint32_t read(uint8_t index) {
        uint64_t value = 0;
        BANYAN_ASSERT(ioapic_.mmio_write(0x00, 4, index) == IoStatus::ok);
        BANYAN_ASSERT(ioapic_.mmio_read(0x10, 4, value) == IoStatus::ok);
        return static_cast<uint32_t>(value);
    }
    void write(uint8_t index, uint32_t value) {
        BANYAN_ASSERT(ioapic_.mmio_write(0x00, 4, index) == IoStatus::ok);
        BANYAN_ASSERT(ioapic_.mmio_write(0x10, 4, value) == IoStatus::ok);
    }
    uint64_t entry(unsigned input) {
        const auto index = static_cast<uint8_t>(0x10 + 2 * input);
        return read(index) | uint64_t{read(static_cast<uint8_t>(index + 1))} << 32;
    }
    void set_entry(unsigned input, uint64_t entry) {
        const auto index = static_cast<uint8_t>(0x10 + 2 * input);
        write(static_cast<uint8_t>(index + 1), static_cast<uint32_t>(entry >> 32));
        write(index, static_cast<uint32_t>(entry));
    }
    void eoi(uint8_t vector) { BANYAN_ASSERT(ioapic_.mmio_write(0x40, 4, vector) == IoStatus::ok); }

private:
    IoApic& ioapic_;
};

struct IoApicTest : ::testing::Test {
    RecordingMsi msi;
    IoApic ioapic{{.msi = msi, .id = 3}};
    IoApicDriver driver{ioapic};
};

TEST_F(IoApicTest, StartsMasked) {
    EXPECT_EQ(driver.read(0), 0x03000000U);
    EXPECT_EQ(driver.read(1), 0x00170020U);
    EXPECT_EQ(driver.read(2), 0x03000000U);
    for (unsigned input = 0; input < IoApic::kInputs; ++input) {
        EXPECT_EQ(driver.entry(input), kEntryMasked);
        ioapic.set_irq(input, true);
    }
    EXPECT_EQ(msi.count(), 0U);
    EXPECT_EQ(driver.read(0x40), 0U) << "no register";
}

TEST_F(IoApicTest, KeepsOnlyDefinedBits) {
    driver.write(0, 0xFFFFFFFF);
    EXPECT_EQ(driver.read(0), 0x0F000000U);
    driver.write(1, 0xFFFFFFFF);
    EXPECT_EQ(driver.read(1), 0x00170020U);
    driver.set_entry(23, ~uint64_t{0});
    EXPECT_EQ(driver.entry(23), 0xFFFE0000'0001AFFFU);
}

TEST_F(IoApicTest, AccessSizes) {
    uint64_t value = 0;
    EXPECT_EQ(ioapic.mmio_write(0x00, 1, 1), IoStatus::ok);
    EXPECT_EQ(ioapic.mmio_read(0x00, 1, value), IoStatus::ok);
    EXPECT_EQ(value, 1U);
    EXPECT_EQ(ioapic.mmio_read(0x10, 1, value), IoStatus::bad_size);
    EXPECT_EQ(ioapic.mmio_write(0x10, 8, 0), IoStatus::bad_size);
    EXPECT_EQ(ioapic.mmio_read(0x14, 4, value), IoStatus::no_register);
    EXPECT_EQ(ioapic.mmio_write(0x20, 4, 0), IoStatus::no_register);
}

TEST_F(IoApicTest, EdgeSendsOneMessage) {
    driver.set_entry(4, uint64_t{2} << 56 | 0x34);
    ioapic.set_irq(4, true);
    ioapic.set_irq(4, true);
    ASSERT_EQ(msi.count(), 1U);
    EXPECT_EQ(msi.messages()[0], (MsiMessage{0xFEE02000, 0x4034}));
    ioapic.set_irq(4, false);
    ioapic.set_irq(4, true);
    EXPECT_EQ(msi.count(), 2U);
}

TEST_F(IoApicTest, MessageCarriesTheEntry) {
    driver.set_entry(9, uint64_t{0x81} << 56 | uint64_t{5} << 49 | kEntryLevel | kActiveLow |
                            1 << 11 | 1 << 8 | 0x77);
    ioapic.set_irq(9, true);
    ASSERT_EQ(msi.count(), 1U);
    EXPECT_EQ(msi.messages()[0], (MsiMessage{0xFEE810A4, 0xC177}));
}

// 82093AA, section 3.2.4, "Interrupt Mask".
TEST_F(IoApicTest, EdgeWhileMaskedIsLost) {
    driver.set_entry(4, kEntryMasked | 0x34);
    ioapic.set_irq(4, true);
    driver.set_entry(4, 0x34);
    EXPECT_EQ(msi.count(), 0U);
    ioapic.set_irq(4, false);
    ioapic.set_irq(4, true);
    EXPECT_EQ(msi.count(), 1U);
}

TEST_F(IoApicTest, LevelIsSentWhenUnmasked) {
    driver.set_entry(11, kEntryMasked | kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    EXPECT_EQ(msi.count(), 0U);
    driver.set_entry(11, kEntryLevel | 0x55);
    EXPECT_EQ(msi.count(), 1U);
    EXPECT_EQ(driver.entry(11), kEntryLevel | kRemoteIrr | 0x55);
}

TEST_F(IoApicTest, LevelWaitsForTheEnd) {
    driver.set_entry(11, kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    ioapic.set_irq(11, false);
    ioapic.set_irq(11, true);
    EXPECT_EQ(msi.count(), 1U);
    ioapic.end_of_interrupt(0x54);
    EXPECT_EQ(msi.count(), 1U) << "another vector";
    ioapic.end_of_interrupt(0x55);
    EXPECT_EQ(msi.count(), 2U) << "still asserted";
    ioapic.set_irq(11, false);
    ioapic.end_of_interrupt(0x55);
    EXPECT_EQ(msi.count(), 2U);
    EXPECT_EQ(driver.entry(11), kEntryLevel | 0x55);
}

TEST_F(IoApicTest, EoiRegisterEnds) {
    driver.set_entry(11, kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    ioapic.set_irq(11, false);
    driver.eoi(0x55);
    EXPECT_EQ(driver.entry(11), kEntryLevel | 0x55);
}

TEST_F(IoApicTest, EndReachesEveryInputWithTheVector) {
    driver.set_entry(10, kEntryLevel | 0x55);
    driver.set_entry(11, kEntryLevel | 0x55);
    ioapic.set_irq(10, true);
    ioapic.set_irq(11, true);
    EXPECT_EQ(msi.count(), 2U);
    ioapic.end_of_interrupt(0x55);
    EXPECT_EQ(msi.count(), 4U);
}

TEST_F(IoApicTest, EndWhileMaskedIsRemembered) {
    driver.set_entry(11, kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    driver.set_entry(11, kEntryMasked | kEntryLevel | 0x55);
    ioapic.end_of_interrupt(0x55);
    EXPECT_EQ(msi.count(), 1U);
    driver.set_entry(11, kEntryLevel | 0x55);
    EXPECT_EQ(msi.count(), 2U);
}

// How Linux ends an interrupt on an IO-APIC without the EOI register.
TEST_F(IoApicTest, SwitchToEdgeClearsRemoteIrr) {
    driver.set_entry(11, kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    ioapic.set_irq(11, false);
    driver.set_entry(11, kEntryMasked | 0x55);
    driver.set_entry(11, kEntryLevel | 0x55);
    EXPECT_EQ(driver.entry(11), kEntryLevel | 0x55);
}

TEST_F(IoApicTest, PolarityDoesNotTurnTheWire) {
    driver.set_entry(11, kEntryLevel | kActiveLow | 0x55);
    EXPECT_EQ(msi.count(), 0U);
    ioapic.set_irq(11, true);
    EXPECT_EQ(msi.count(), 1U);
}

TEST_F(IoApicTest, NmiIsAnEdgeEvenOnALevelEntry) {
    driver.set_entry(3, kEntryLevel | 4 << 8);
    ioapic.set_irq(3, true);
    ASSERT_EQ(msi.count(), 1U);
    EXPECT_EQ(msi.messages()[0], (MsiMessage{0xFEE00000, 0x4400}));
    EXPECT_EQ(driver.entry(3) & kRemoteIrr, 0U);
}

TEST_F(IoApicTest, IgnoresInputsThatItDoesNotHave) {
    ioapic.set_irq(24, true);
    ioapic.set_irq(~0U, true);
    EXPECT_EQ(msi.count(), 0U);
}

TEST_F(IoApicTest, SavedState) {
    RecordingMsi sink;
    check_saved_state([&] { return std::make_unique<IoApic>(IoApic::Wiring{.msi = sink}); },
                      [](IoApic& used) {
                          IoApicDriver registers(used);
                          registers.write(0, 0x05000000);
                          registers.set_entry(7, uint64_t{3} << 56 | kEntryLevel | 0x61);
                          registers.set_entry(23, 0x99);
                          used.set_irq(7, true);
                          used.set_irq(2, true);
                      });
}

TEST_F(IoApicTest, RestoredLevelGoesOn) {
    driver.set_entry(11, kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    const auto bytes = saved_bytes(ioapic);
    RecordingMsi sink;
    IoApic copy{{.msi = sink}};
    StateReader reader(bytes);
    ASSERT_TRUE(copy.restore(reader));
    EXPECT_EQ(sink.count(), 0U) << "its message was sent before";
    copy.end_of_interrupt(0x55);
    EXPECT_EQ(sink.count(), 1U);
}

TEST_F(IoApicTest, RefusesWhatCannotBe) {
    const auto loads = [&](auto change) {
        IoApicStateV1 state;
        change(state);
        StateWriter writer;
        writer.section(state);
        StateReader reader(writer.bytes());
        return ioapic.restore(reader).has_value();
    };
    EXPECT_TRUE(loads([](IoApicStateV1&) {}));
    EXPECT_FALSE(loads([](IoApicStateV1& s) { s.id = 16; }));
    EXPECT_FALSE(loads([](IoApicStateV1& s) { s.inputs = 1U << 24; }));
    EXPECT_FALSE(loads([](IoApicStateV1& s) { s.table[0] = bit(20); }));
    EXPECT_FALSE(loads([](IoApicStateV1& s) { s.table[0] = kRemoteIrr; }));
}

// The whole way: wire, IO-APIC, bus, local APIC, vCPU and back.
struct InterruptPath : ::testing::Test {
    InterruptPath() {
        rig.enable_all();
        rig.bus.add(ioapic);
    }

    ApicRig rig{2};
    IoApic ioapic{{.msi = rig.bus}};
    IoApicDriver driver{ioapic};
};

TEST_F(InterruptPath, EdgeFromWireToCpu) {
    driver.set_entry(4, uint64_t{1} << 56 | 0x34);
    ioapic.set_irq(4, true);
    EXPECT_EQ(rig.signals[1]->interrupts, 1U);
    EXPECT_EQ(rig.acknowledge(1), 0x34);
}

TEST_F(InterruptPath, LevelComesUntilTheDeviceIsServed) {
    driver.set_entry(11, uint64_t{1} << 56 | kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(rig.acknowledge(1), 0x55);
        EXPECT_TRUE(rig.test(ApicRegister::tmr, 0x55, 1));
        EXPECT_FALSE(rig.apic(1).interrupt_pending());
        rig.eoi(1);  // without serving the device
    }
    ASSERT_EQ(rig.acknowledge(1), 0x55);
    ioapic.set_irq(11, false);
    rig.eoi(1);
    EXPECT_FALSE(rig.apic(1).interrupt_pending());
    EXPECT_EQ(driver.entry(11) & kRemoteIrr, 0U);
}

TEST_F(InterruptPath, EdgeEndsWithoutABroadcast) {
    driver.set_entry(11, kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    ASSERT_EQ(rig.acknowledge(0), 0x55);
    rig.request(0x65, TriggerMode::edge, 0);
    ASSERT_EQ(rig.acknowledge(0), 0x65);
    rig.eoi(0);  // of 65
    EXPECT_NE(driver.entry(11) & kRemoteIrr, 0U);
    rig.eoi(0);  // of 55
    EXPECT_EQ(rig.acknowledge(0), 0x55);
}

TEST_F(InterruptPath, SuppressedBroadcastNeedsTheEoiRegister) {
    rig.write(ApicRegister::svr, 0x11FF, 0);
    driver.set_entry(11, kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    ASSERT_EQ(rig.acknowledge(0), 0x55);
    rig.eoi(0);
    EXPECT_FALSE(rig.apic(0).interrupt_pending());
    driver.eoi(0x55);
    EXPECT_EQ(rig.acknowledge(0), 0x55);
}

TEST_F(InterruptPath, ParavirtualEoiLeavesLevelsAlone) {
    ASSERT_TRUE(rig.apic(0).set_pv_eoi(0x1001));
    driver.set_entry(11, kEntryLevel | 0x55);
    ioapic.set_irq(11, true);
    ASSERT_EQ(rig.acknowledge(0), 0x55);
    uint32_t word = 0;
    ASSERT_TRUE(rig.ram.memory().read_object(Gpa{0x1000}, word));
    EXPECT_EQ(word, 0U);
    rig.eoi(0);
    EXPECT_EQ(rig.acknowledge(0), 0x55);
}

TEST_F(InterruptPath, LowestPriorityEntry) {
    rig.write(ApicRegister::ldr, 1U << 24, 0);
    rig.write(ApicRegister::ldr, 2U << 24, 1);
    rig.write(ApicRegister::tpr, 0x20, 0);
    driver.set_entry(5, uint64_t{3} << 56 | 1 << 11 | 1 << 8 | 0x35);
    ioapic.set_irq(5, true);
    EXPECT_EQ(rig.acknowledge(1), 0x35);
    EXPECT_EQ(rig.acknowledge(0), std::nullopt);
}

}  // namespace
}  // namespace banyan
