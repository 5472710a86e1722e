#include <gtest/gtest.h>

#include "machine/boards/board_testing.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

using testing::TestMachine;

// Disks and discs of every bus that the kind of board has.
struct MachineWithDisks : TestMachine {
    explicit MachineWithDisks(BoardKind kind) : TestMachine(kind) {
        config.disks.clear();
        for (const DiskBus bus : {DiskBus::virtio, DiskBus::scsi, DiskBus::ahci, DiskBus::ide}) {
            const bool legacy = bus == DiskBus::ahci || bus == DiskBus::ide;
            if (legacy && kind != BoardKind::pc) continue;
            config.disks.push_back({.backend = &disk, .serial = "d", .bus = bus});
            if (bus != DiskBus::virtio) add(bus, DiskMedium::cdrom);
        }
    }
    void add(DiskBus bus, DiskMedium medium = DiskMedium::disk) {
        config.disks.push_back({.backend = &disk, .serial = "m", .bus = bus, .medium = medium});
    }
    std::string error() {
        const auto built = build();
        return built ? "" : std::string(built.error().text());
    }
};

class DisksOfKind : public ::testing::TestWithParam<BoardKind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, DisksOfKind, ::testing::Values(BoardKind::pc, BoardKind::micro));

TEST_P(DisksOfKind, AreSavedAndRestored) {
    MachineWithDisks machine(GetParam());
    ASSERT_EQ(machine.error(), "");
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    const auto state = saved_bytes(*machine.board);
    MachineWithDisks other(GetParam());
    ASSERT_EQ(other.error(), "");
    StateReader reader(state);
    ASSERT_TRUE(other.board->restore(reader));
    EXPECT_EQ(saved_bytes(*other.board), state);
}

TEST(PcDisks, AreWhereSystemsLookForThem) {
    MachineWithDisks machine(BoardKind::pc);
    ASSERT_EQ(machine.error(), "");
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    machine.out(0xCF8, 0x80000000 | 0x1F << 11 | 2 << 8, 4);
    EXPECT_EQ(machine.in(0xCFC, 4), 0x29228086U) << "AHCI of an ICH9";
    EXPECT_EQ(machine.in(0x1F7), 0x50U) << "the disk is the primary master";
    machine.out(0x1F6, 0x10);
    EXPECT_EQ(machine.in(0x1F7), 0U);
    EXPECT_EQ(machine.in(0x174), 0x14U) << "the CD-ROM drive is the secondary master";
    EXPECT_EQ(machine.in(0x175), 0xEBU);
}

// IDENTIFY DEVICE, with its interrupt at the input 14 of the IO-APIC.
TEST(PcDisks, IdeInterruptsAtItsIsaInterrupt) {
    MachineWithDisks machine(BoardKind::pc);
    ASSERT_EQ(machine.error(), "");
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    machine.enable_apic();
    machine.route(14, 0x3E);
    machine.out(0x1F7, 0xEC);
    EXPECT_EQ(machine.take_interrupt(), 0x3E);
    EXPECT_EQ(machine.in(0x1F0, 2), 0x0040U);
}

TEST(DisksOnBuses, AreRefusedWhereThereIsNoPlace) {
    MachineWithDisks micro(BoardKind::micro);
    micro.add(DiskBus::ahci);
    EXPECT_NE(micro.error().find("the machine micro has the buses virtio, nvme and scsi"),
              std::string::npos);
    MachineWithDisks disc(BoardKind::pc);
    disc.add(DiskBus::virtio, DiskMedium::cdrom);
    EXPECT_NE(disc.error().find("none on the buses virtio and nvme"), std::string::npos);
    MachineWithDisks ahci(BoardKind::pc);
    for (unsigned i = 0; i < 5; ++i)
        ahci.add(DiskBus::ahci);
    EXPECT_NE(ahci.error().find("six places"), std::string::npos);
    MachineWithDisks ide(BoardKind::pc);
    for (unsigned i = 0; i < 3; ++i)
        ide.add(DiskBus::ide);
    EXPECT_NE(ide.error().find("four places"), std::string::npos);
}

}  // namespace
}  // namespace banyan
