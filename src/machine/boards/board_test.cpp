#include "machine/boards/board.hpp"

#include <gtest/gtest.h>
#include <thread>

#include "machine/boards/board_testing.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fake_engine_apics.hpp"
#include "vm/testing/fake_engine_doorbells.hpp"

namespace banyan {
namespace {

using testing::TestMachine;

class BoardOfKind : public ::testing::TestWithParam<BoardKind> {
protected:
    void SetUp() override {
        const auto built = machine.build();
        ASSERT_TRUE(built) << built.error().text();
        ASSERT_TRUE(machine.board->prepare_direct_boot());
    }
    TestMachine machine{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Kinds, BoardOfKind, ::testing::Values(BoardKind::pc, BoardKind::micro),
                         [](const auto& instance) {
                             return instance.param == BoardKind::pc ? "pc" : "micro";
                         });

TEST_P(BoardOfKind, HasASerialPort) {
    for (const char c : {'h', 'i'})
        machine.out(0x3F8, static_cast<uint8_t>(c));
    EXPECT_EQ(machine.serial.text(), "hi");
}

TEST_P(BoardOfKind, GivesSerialInputToTheGuest) {
    const uint8_t key[] = {'x'};
    ASSERT_GE(machine.board->serial_client().receive_room(), 1U);
    machine.board->serial_client().on_receive(key);
    EXPECT_EQ(machine.in(0x3FD) & 1, 1U);
    EXPECT_EQ(machine.in(0x3F8), 'x');
}

TEST_P(BoardOfKind, LeadsTheSerialInterruptThroughTheIoApic) {
    machine.enable_apic();
    machine.route(4, 0x34);
    machine.out(0x3FC, 0x08);  // OUT2
    machine.out(0x3F9, 0x02);  // transmitter empty

    EXPECT_TRUE(machine.board->cpu_interrupts(0).interrupt_pending());
    EXPECT_GE(machine.signals[0].interrupts, 1U);
    EXPECT_EQ(machine.take_interrupt(), 0x34);
}

TEST_P(BoardOfKind, HasAClock) {
    machine.out(0x70, 0x32);
    EXPECT_EQ(machine.in(0x71), 0x20U) << "the century";
}

TEST_P(BoardOfKind, HasAPanicPort) {
    machine.out(0x505, 1);
    ASSERT_EQ(machine.control.count(), 1U);
    EXPECT_EQ(machine.control.event(), MachineEvent::guest_panic);
}

TEST_P(BoardOfKind, PowersOff) {
    machine.out(0x604, 1U << 13 | 5U << 10, 2);
    ASSERT_EQ(machine.control.count(), 1U);
    EXPECT_EQ(machine.control.event(), MachineEvent::power_off);
}

TEST_P(BoardOfKind, ResetsByPortCf9) {
    machine.out(0xCF9, 0x06);
    ASSERT_EQ(machine.control.count(), 1U);
    EXPECT_EQ(machine.control.event(), MachineEvent::reset);
}

TEST_P(BoardOfKind, HasTheTestAidsThatWereAskedFor) {
    machine.out(0xE9, '!');
    EXPECT_EQ(machine.debugcon.text(), "!");
    machine.out(0xF4, 21, 4);
    ASSERT_EQ(machine.control.count(), 1U);
    EXPECT_EQ(machine.control.event(), MachineEvent::debug_exit);
    EXPECT_EQ(machine.control.value(), 21U);
}

TEST_P(BoardOfKind, RaisesTheSciWhenThePowerButtonIsPressed) {
    machine.enable_apic();
    machine.route(9, 0x39, true);
    machine.out(0xB2, 2);            // ACPI mode
    machine.out(0x602, 1U << 8, 2);  // PWRBTN_EN
    machine.board->press_power_button();
    EXPECT_EQ(machine.take_interrupt(), 0x39);
    EXPECT_EQ(machine.in(0x600, 2) & (1U << 8), 1U << 8);
}

TEST_P(BoardOfKind, ShowsItsPciFunctionsByBothMechanisms) {
    for (unsigned device = 0; device < 4; ++device) {
        const uint32_t id = machine.config_read(device, 0);
        EXPECT_EQ(machine.read(0xE0000000 + (device << 15)), id);
        const uint32_t bridge = GetParam() == BoardKind::pc ? 0x8086U : 0x1B36U;
        EXPECT_EQ(id & 0xFFFF, device == 0 ? bridge : 0x1AF4U);
    }
    EXPECT_EQ(machine.config_read(1, 0) >> 16, 0x1042U) << "the disk";
    EXPECT_EQ(machine.config_read(2, 0) >> 16, 0x1044U) << "random numbers";
    EXPECT_EQ(machine.config_read(3, 0) >> 16, 0x1043U) << "the console";
    EXPECT_EQ(machine.config_read(4, 0) >> 16, 0x1045U) << "the balloon";
    EXPECT_EQ(machine.config_read(5, 0), 0xFFFFFFFFU);
    EXPECT_EQ(machine.read(0xE0000000 + (5 << 15)), 0xFFFFFFFFU);
}

TEST_P(BoardOfKind, TellsWhatItsBalloonHas) {
    EXPECT_TRUE(machine.board->set_balloon_target(TestMachine::kRam / 2));
    const auto statistics = machine.board->balloon_statistics();
    ASSERT_TRUE(statistics);
    EXPECT_EQ(statistics->target, TestMachine::kRam / 2);
    EXPECT_EQ(statistics->actual, TestMachine::kRam);
}

constexpr uint64_t kBarMask = ~uint64_t{0xF};

TEST_P(BoardOfKind, PlacesBarsForDirectBoot) {
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    const uint64_t bar = machine.config_read(2, 0x10) & kBarMask;
    EXPECT_GE(bar, 0xC0000000U);
    EXPECT_EQ(machine.read(bar + 0x12, 2), 1U) << "num_queues of the random number device";
}

TEST_P(BoardOfKind, FollowsABarThatMoves) {
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    const uint64_t before = machine.config_read(2, 0x10) & kBarMask;
    constexpr uint32_t kElsewhere = 0xD0000000;

    machine.config_write(2, 0x10, kElsewhere);

    EXPECT_EQ(machine.read(before + 0x12, 2), 0xFFFFU);
    EXPECT_EQ(machine.read(kElsewhere + 0x12, 2), 1U);
}

TEST_P(BoardOfKind, KeepsBarsOffTheOtherChips) {
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    const auto version = [&] {
        machine.write(0xFEC00000, 1);
        return machine.read(0xFEC00010);
    };
    const uint64_t before = version();
    machine.config_write(2, 0x10, 0xFEC00000);
    EXPECT_EQ(version(), before);
    machine.config_write(2, 0x10, 0x00100000);
    const uint64_t bar = machine.config_read(2, 0x10) & kBarMask;
    EXPECT_EQ(bar, 0x00100000U) << "the register takes what is written";
    EXPECT_EQ(machine.read(bar + 0x12, 2), 0xFFFFU) << "but nothing answers there";
}

// A virtio driver with one queue, as far as a test of the board needs one: registers of virtio 1.2,
// section 4.1.4.3, rings of section 2.7 for one chain.
class Driver {
public:
    Driver(TestMachine& machine, unsigned device) : machine_(machine), device_(device) {
        machine.config_write(device, 0x04, 0x6);  // memory, bus master
        bar_ = machine.config_read(device, 0x10) & kBarMask;
    }

    void start() {
        for (const unsigned status : {1U, 3U})
            machine_.write(bar_ + 0x14, status, 1);
        machine_.write(bar_ + 0x08, 1);  // the high half of the features: VIRTIO_F_VERSION_1
        machine_.write(bar_ + 0x0C, 1);
        machine_.write(bar_ + 0x14, 11, 1);
        machine_.write(bar_ + 0x16, 0, 2);
        machine_.write(bar_ + 0x18, 4, 2);
        machine_.write(bar_ + 0x20, kDescriptors);
        machine_.write(bar_ + 0x28, kAvailable);
        machine_.write(bar_ + 0x30, kUsed);
        machine_.write(bar_ + 0x1C, 1, 2);
        machine_.write(bar_ + 0x14, 15, 1);
    }

    struct Buffer {
        uint64_t address;
        uint32_t length;
        bool device_writes;
    };
    void submit(const std::vector<Buffer>& buffers) {
        struct Descriptor {
            uint64_t address;
            uint32_t length;
            uint16_t flags;
            uint16_t next;
        };
        for (uint16_t i = 0; i < buffers.size(); ++i) {
            const auto flags = static_cast<uint16_t>((buffers[i].device_writes ? 2 : 0) |
                                                     (i + 1U < buffers.size() ? 1 : 0));
            const Descriptor descriptor{buffers[i].address, buffers[i].length, flags,
                                        static_cast<uint16_t>(i + 1)};
            ASSERT_TRUE(
                machine_.memory.write_object({kDescriptors + i * sizeof(descriptor)}, descriptor));
        }
        const uint16_t available[3] = {0, 1, 0};
        ASSERT_TRUE(machine_.memory.write_object({kAvailable}, available));
        machine_.write(bar_ + notify_offset(), 0, 2);
    }
    uint16_t used() const {
        uint16_t ring[2] = {};
        EXPECT_TRUE(machine_.memory.read_object({kUsed}, ring));
        return ring[1];
    }

private:
    static constexpr uint64_t kDescriptors = 0x100000;
    static constexpr uint64_t kAvailable = 0x101000;
    static constexpr uint64_t kUsed = 0x102000;

    // Its place in the BAR is in a capability (section 4.1.4.4).
    uint32_t notify_offset() {
        unsigned at = machine_.config_read(device_, 0x34) & 0xFC;
        while (at != 0) {
            const uint32_t head = machine_.config_read(device_, at);
            if ((head & 0xFF) == 9 && head >> 24 == 2) return machine_.config_read(device_, at + 8);
            at = head >> 8 & 0xFC;
        }
        ADD_FAILURE() << "no notification capability";
        return 0;
    }

    TestMachine& machine_;
    unsigned device_;
    uint64_t bar_ = 0;
};

constexpr uint64_t kBuffer = 0x103000;

TEST_P(BoardOfKind, LeadsIntxToItsPin) {
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    machine.enable_apic();
    const unsigned wire = GetParam() == BoardKind::pc ? 6 : 2;
    machine.route(16 + wire, 0x52, true);
    Driver driver(machine, 2);
    driver.start();

    driver.submit({{kBuffer, 16, true}});

    uint8_t first = 0;
    ASSERT_TRUE(machine.memory.read_object({kBuffer}, first));
    EXPECT_NE(first, 0) << "random bytes";
    EXPECT_EQ(machine.take_interrupt(), 0x52);
}

// A read of the first sector: header, data, status (section 5.2.6).
const std::vector<Driver::Buffer> kReadSector{
    {kBuffer, 16, false}, {kBuffer + 0x1000, 512, true}, {kBuffer + 0x10, 1, true}};

TEST_P(BoardOfKind, ReadsADiskThatCompletesAtOnce) {
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    machine.disk.bytes()[0] = std::byte{0x5A};
    Driver driver(machine, 1);
    driver.start();

    driver.submit(kReadSector);

    EXPECT_EQ(driver.used(), 1);
    uint8_t first = 0;
    ASSERT_TRUE(machine.memory.read_object({kBuffer + 0x1000}, first));
    EXPECT_EQ(first, 0x5A);
}

TEST_P(BoardOfKind, DrainsItsDisksWhenItGoes) {
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    machine.disk.hold(true);
    Driver driver(machine, 1);
    driver.start();
    driver.submit(kReadSector);
    ASSERT_EQ(machine.disk.in_flight(), 1U);
    EXPECT_EQ(driver.used(), 0);

    machine.board.reset();

    EXPECT_EQ(machine.disk.in_flight(), 0U);
    EXPECT_EQ(driver.used(), 1);
}

// Two vCPUs at once, one of which moves a BAR that the other uses. The sanitizer looks for races;
// here, that nobody waits for anybody for ever and that the machine still answers.
TEST(BoardThreads, MayUseTheSameChips) {
    TestMachine machine(BoardKind::pc, 2);
    ASSERT_TRUE(machine.build());
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    const uint64_t bar = machine.config_read(2, 0x10) & kBarMask;
    const auto run = [&](unsigned cpu) {
        CpuIo& io = machine.board->cpu_io(cpu);
        for (unsigned i = 0; i < 500; ++i) {
            io.port_write(0x3F9, 1, i & 2);  // the transmitter's interrupt on and off
            io.mmio_write({MemoryMap::kEcam.start.value + (2 << 15) + 0x10}, 4,
                          bar + (i % 2) * 0x100000);
            (void)io.mmio_read({bar + 0x12}, 2);
            io.mmio_write({0xFEE000F0}, 4, 0x1FF);
            io.mmio_write({0xFEE00300}, 4, 0xC0040 + cpu);  // an IPI to the other
            (void)machine.board->cpu_interrupts(cpu).acknowledge_interrupt();
            io.mmio_write({0xFEE000B0}, 4, 0);
        }
    };
    std::thread other(run, 1);
    run(0);
    other.join();
    EXPECT_EQ(machine.config_read(2, 0), 0x10441AF4U);
}

TEST_P(BoardOfKind, PutsTablesWhereKernelsLook) {
    const auto rsdp = machine.board->prepare_direct_boot();
    ASSERT_TRUE(rsdp) << rsdp.error().text();
    std::array<char, 8> signature{};
    ASSERT_TRUE(machine.memory.read_object(*rsdp, signature));
    EXPECT_EQ(std::string(signature.data(), 8), "RSD PTR ");
    uint16_t ebda = 0;
    ASSERT_TRUE(machine.memory.read_object({0x40E}, ebda));
    EXPECT_EQ(ebda, 0x9FC0);
}

TEST_P(BoardOfKind, SaysWhichRamItHas) {
    EXPECT_EQ(machine.board->memory_map().e820().front().start, Gpa{0});
    EXPECT_EQ(machine.board->memory_map().ram().size(), 2U);
}

// What a guest may have done by the time the board is saved or reset.
void use(TestMachine& machine) {
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    machine.enable_apic();
    machine.route(4, 0x34);
    machine.out(0x3FC, 0x08);
    machine.out(0x3F9, 0x02);
    machine.config_write(2, 0x10, 0xD0000000);
    machine.out(0x602, 1U << 8, 2);
}

std::vector<std::byte> saved(TestMachine& machine) {
    return saved_bytes(*machine.board);
}

TEST_P(BoardOfKind, ResetsToItsFirstState) {
    TestMachine other(GetParam());
    ASSERT_TRUE(other.build());
    const auto fresh = saved(other);
    use(other);
    EXPECT_NE(saved(other), fresh);
    other.board->reset();
    EXPECT_EQ(saved(other), fresh);
}

TEST_P(BoardOfKind, GoesOnWhereItWasSaved) {
    use(machine);
    const auto state = saved(machine);
    TestMachine other(GetParam());
    ASSERT_TRUE(other.build());
    StateReader reader(state);
    const auto restored = other.board->restore(reader);
    ASSERT_TRUE(restored) << restored.error().text();
    EXPECT_EQ(saved(other), state);
    EXPECT_EQ(other.take_interrupt(), 0x34);
    EXPECT_EQ(other.read(0xD0000000 + 0x12, 2), 1U) << "the BAR is where it was";
}

TEST_P(BoardOfKind, RefusesDamagedStates) {
    machine.board->reset();
    const auto fresh = saved(machine);
    use(machine);
    const auto state = saved(machine);
    for (size_t length = 0; length < state.size(); length += 1 + length / 50) {
        const auto part = std::span(state).first(length);
        StateReader cut(part);
        EXPECT_FALSE(machine.board->restore(cut)) << length;
    }
    EXPECT_EQ(saved(machine), fresh) << "as after a reset";
}

TEST_P(BoardOfKind, RefusesTheStateOfAnotherBoard) {
    const auto state = saved(machine);
    TestMachine without_disk(GetParam());
    without_disk.config.disks.clear();
    ASSERT_TRUE(without_disk.build());
    StateReader reader(state);
    EXPECT_FALSE(without_disk.board->restore(reader));
    const auto fewer = saved(without_disk);
    StateReader reader_of_fewer(fewer);
    EXPECT_FALSE(machine.board->restore(reader_of_fewer));
}

TEST(PcBoard, HasTheLegacyChips) {
    TestMachine machine(BoardKind::pc);
    ASSERT_TRUE(machine.build());
    machine.out(0x21, 0xA5);
    EXPECT_EQ(machine.in(0x21), 0xA5U) << "8259 mask";
    machine.out(0x43, 0xE2);  // read back the status of counter 0
    EXPECT_NE(machine.in(0x40), 0xFFU) << "8254";
    EXPECT_NE(machine.in(0x64), 0xFFU) << "i8042";
    machine.out(0x510, 0, 2);
    EXPECT_EQ(machine.in(0x511), 'Q') << "fw_cfg";
    EXPECT_EQ(machine.read(0xFED00000), 0x8086A201U) << "HPET: the ACPI table says the same";
}

TEST(MicroBoard, HasNoLegacyChips) {
    TestMachine machine(BoardKind::micro);
    ASSERT_TRUE(machine.build());
    constexpr uint16_t kPorts[] = {0x20, 0x21, 0xA0, 0x40, 0x43, 0x60, 0x61, 0x64, 0x510, 0x511};
    for (const uint16_t port : kPorts) {
        EXPECT_EQ(machine.in(port), 0xFFU) << std::hex << port;
    }
    EXPECT_EQ(machine.read(0xFED00000), 0xFFFFFFFFU);
}

void init_pics(TestMachine& machine) {
    for (const auto& [port, base, cascade] :
         {std::tuple{0x20, 0x20, 4}, std::tuple{0xA0, 0x28, 2}}) {
        const auto command = static_cast<uint16_t>(port);
        const auto data = static_cast<uint16_t>(port + 1);
        machine.out(command, 0x11);
        machine.out(data, static_cast<uint32_t>(base));
        machine.out(data, static_cast<uint32_t>(cascade));
        machine.out(data, 0x01);
    }
}

TEST(PcBoard, LeadsIsaInterruptsThroughThe8259s) {
    TestMachine machine(BoardKind::pc);
    ASSERT_TRUE(machine.build());
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    init_pics(machine);
    machine.out(0x21, static_cast<uint8_t>(~(1U << 4)));
    machine.out(0x3FC, 0x08);
    machine.out(0x3F9, 0x02);
    EXPECT_TRUE(machine.board->cpu_interrupts(0).interrupt_pending());
    EXPECT_EQ(machine.take_interrupt(), 0x24);
}

TEST(PcBoard, LeadsTheTimerToPin2) {
    TestMachine machine(BoardKind::pc);
    ASSERT_TRUE(machine.build());
    machine.enable_apic();
    machine.route(2, 0x30);
    machine.out(0x43, 0x34);  // counter 0, rate generator
    machine.out(0x40, 0x9C);
    machine.out(0x40, 0x2E);  // 100 Hz
    machine.timers.advance(11'000'000);
    EXPECT_EQ(machine.take_interrupt(), 0x30);
}

TEST(PcBoard, GivesEachVcpuItsOwnApic) {
    TestMachine machine(BoardKind::pc, 2);
    ASSERT_TRUE(machine.build());
    machine.board->cpu_io(1).mmio_write({0xFEE00080}, 4, 0x50);
    EXPECT_EQ(machine.board->cpu_interrupts(0).read_cr8(), 0);
    EXPECT_EQ(machine.board->cpu_interrupts(1).read_cr8(), 5);
    EXPECT_EQ(machine.board->cpu_io(1).mmio_read({0xFEE00020}, 4) >> 24, 1U);
}

TEST(PcBoard, StartsTheOtherVcpu) {
    TestMachine machine(BoardKind::pc, 2);
    ASSERT_TRUE(machine.build());
    machine.enable_apic(0);
    machine.write(0xFEE00310, 1U << 24);
    machine.write(0xFEE00300, 0x4500);  // INIT
    machine.write(0xFEE00300, 0x4698);  // start-up, vector 98h
    EXPECT_EQ(machine.signals[1].inits, 1U);
    EXPECT_EQ(machine.signals[1].sipi_vector, 0x98);
}

std::string refusal(TestMachine& machine) {
    const auto built = machine.build();
    EXPECT_FALSE(built);
    return built ? std::string() : std::string(built.error().text());
}

TEST(BoardRefuses, ImpossibleNumbersOfCpus) {
    for (const unsigned cpus : {0U, 256U}) {
        TestMachine machine(BoardKind::micro, cpus);
        EXPECT_NE(refusal(machine).find("between 1 and 255"), std::string::npos);
    }
}

// A pc whose guest has set up nothing yet.
class PcAtPowerOn : public ::testing::Test {
protected:
    void SetUp() override {
        machine.rom.back().bytes[0xFF0] = std::byte{0xEA};
        ASSERT_TRUE(machine.build());
    }
    uint8_t byte_at(uint64_t gpa) const {
        uint8_t byte = 0;
        EXPECT_TRUE(machine.memory.read_object({gpa}, byte));
        return byte;
    }
    void set_pam(unsigned offset, uint32_t value) { machine.config_write(0, offset, value); }

    TestMachine machine{BoardKind::pc};
};

TEST_F(PcAtPowerOn, ShowsTheFirmwareAtBothEndsOfItsReach) {
    EXPECT_EQ(byte_at(0xFFFFFFF0), 0xEA);
    EXPECT_EQ(byte_at(0xFFFF0), 0xEA);
    EXPECT_FALSE(machine.memory.write_object({0xFFFF0}, uint8_t{0}));
    EXPECT_FALSE(machine.memory.find({0xC0000}).has_value())
        << "the firmware is seen from E0000h on";
    EXPECT_EQ(machine.read(0xC0000), 0xFFFFFFFFU);
}

// What SeaBIOS does: RAM behind the ROM, the ROM's contents into it.
TEST_F(PcAtPowerOn, ShadowRamTakesWritesUnderTheRom) {
    set_pam(0x90, 0x20);  // F0000h: write to RAM, read from ROM
    machine.write(0xFFFF0, 0x12345678);
    EXPECT_EQ(byte_at(0xFFFF0), 0xEA);
    set_pam(0x90, 0x10);  // read only
    EXPECT_EQ(byte_at(0xFFFF0), 0x78);
    EXPECT_FALSE(machine.memory.write_object({0xFFFF0}, uint8_t{0}));
    machine.write(0xFFFF0, 0);
    EXPECT_EQ(byte_at(0xFFFF0), 0x78);
    set_pam(0x90, 0x30);
    EXPECT_TRUE(machine.memory.write_object({0xFFFF0}, uint8_t{1}));
    EXPECT_EQ(byte_at(0xFFFF0), 1);
    machine.board->reset();
    EXPECT_EQ(byte_at(0xFFFF0), 0xEA);
}

TEST_F(PcAtPowerOn, ShadowRamIsOnePieceForDevices) {
    set_pam(0x90, 0x33333330);
    set_pam(0x94, 0x00333333);
    EXPECT_EQ(machine.memory.writable_range({0xC0000}, 0x40000).size(), 0x40000U);
}

TEST_F(PcAtPowerOn, ConfigurationSpaceAndPowerManagementGoWhereTheyAreTold) {
    EXPECT_EQ(machine.read(0xB0000000), 0xFFFFFFFFU);
    machine.config_write(0, 0x60, 0xB0000001);
    EXPECT_EQ(machine.read(0xB0000000), 0x29C08086U);
    EXPECT_EQ(machine.in(0x404, 2), 0xFFFFU);
    machine.config_write(31, 0x40, 0x401);
    machine.config_write(31, 0x44, 0x80);
    machine.out(0x404, 1U << 13 | 5U << 10, 2);
    ASSERT_EQ(machine.control.count(), 1U);
    EXPECT_EQ(machine.control.event(), MachineEvent::power_off);
}

TEST_F(PcAtPowerOn, FlashIsMemoryUntilItTakesACommand) {
    constexpr uint64_t kFlash = 0xFFFB0000;  // 64 KiB below a ROM of 256
    machine.write(kFlash, 0x70, 1);          // read status
    EXPECT_FALSE(machine.memory.find({kFlash}).has_value());
    EXPECT_EQ(machine.read(kFlash, 1), 0x80U) << "ready";
    machine.write(kFlash, 0x20, 1);  // erase
    machine.write(kFlash, 0xD0, 1);
    machine.write(kFlash, 0x10, 1);  // program
    machine.write(kFlash, 0x5A, 1);
    machine.write(kFlash, 0xFF, 1);
    EXPECT_EQ(byte_at(kFlash), 0x5A);
    EXPECT_EQ(byte_at(kFlash + 1), 0xFF);
    EXPECT_EQ(machine.flash[0].bytes[0], std::byte{0x5A});
}

// The MCFG table of the relocatable tables, which firmware reads by fw_cfg, tells where the guest
// has put configuration space.
TEST_F(PcAtPowerOn, TablesTellWhatTheGuestHasSetUp) {
    const auto read_file = [&](std::string_view name) {
        machine.out(0x510, 0x19, 2);
        unsigned count = 0;
        for (unsigned i = 0; i < 4; ++i)
            count = count << 8 | machine.in(0x511);
        for (unsigned i = 0; i < count; ++i) {
            std::vector<uint8_t> entry(64);
            for (uint8_t& byte : entry)
                byte = static_cast<uint8_t>(machine.in(0x511));
            if (name != reinterpret_cast<const char*>(entry.data() + 8)) continue;
            std::string content(size_t{entry[2]} << 8 | entry[3], 0);
            machine.out(0x510, entry[4] << 8U | entry[5], 2);
            for (char& c : content)
                c = static_cast<char>(machine.in(0x511));
            return content;
        }
        return std::string();
    };
    machine.config_write(0, 0x60, 0xB0000001);
    const std::string tables = read_file("etc/acpi/tables");
    const size_t mcfg = tables.find("MCFG");
    ASSERT_NE(mcfg, std::string::npos);
    EXPECT_EQ(tables.substr(mcfg + 44, 4), std::string("\x00\x00\x00\xB0", 4));
    EXPECT_EQ(read_file("etc/table-loader").size() % 128, 0U);
    EXPECT_EQ(read_file("bootorder"), std::string("/pci@i0cf8/scsi@1/disk@0,0\0", 27));
}

TEST(BoardRefuses, MoreDevicesThanTheBusHolds) {
    TestMachine machine(BoardKind::micro);
    machine.config.disks.assign(30, DiskConfig{.backend = &machine.disk, .serial = ""});
    EXPECT_NE(refusal(machine).find("32 places"), std::string::npos);
}

TEST(BoardRefuses, APortBeyondTheLast) {
    TestMachine machine(BoardKind::micro);
    machine.config.debug_exit_port = uint16_t{0xFFFD};
    EXPECT_NE(refusal(machine).find("0xfffc"), std::string::npos);
}

TEST(BoardRefuses, MemoryThatIsNotThere) {
    TestMachine machine(BoardKind::micro);
    machine.config.ram_size = 1;
    EXPECT_NE(refusal(machine).find("between 2M and"), std::string::npos);
}

TEST(BoardWithDoorbells, ADriverRingsThemWithoutAnAccess) {
    FakeEngineDoorbells doorbells;
    testing::TestMachine machine{BoardKind::micro};
    machine.doorbells = &doorbells;
    ASSERT_TRUE(machine.build());
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    Driver driver(machine, 2);
    driver.start();
    EXPECT_EQ(doorbells.asked, 0U);
    driver.submit({{kBuffer, 16, true}});
    ASSERT_EQ(doorbells.placed.size(), 1U);
    ASSERT_EQ(driver.used(), 1U);

    const uint16_t next_available[4] = {0, 2, 0, 0};
    ASSERT_TRUE(machine.memory.write_object({0x101000}, next_available));
    EXPECT_TRUE(doorbells.ring(doorbells.placed.begin()->first));

    EXPECT_EQ(driver.used(), 2U);
    machine.board->reset();
    EXPECT_TRUE(doorbells.placed.empty());
}

// With an engine that has local APICs itself, the board makes none.
class BoardOfAnEngine : public ::testing::Test {
protected:
    void SetUp() override {
        machine.engine_apics = &apics;
        ASSERT_TRUE(machine.build());
    }
    VcpuWiring wiring(unsigned cpu) { return machine.board->vcpu_wiring(cpu, waker); }

    struct NoWaker final : VcpuWaker {
        void wake() override {}
    } waker;
    FakeEngineApics apics{2};
    testing::TestMachine machine{BoardKind::pc, 2};
};

TEST_F(BoardOfAnEngine, InterruptsBecomeItsMessages) {
    machine.route(4, 0x34);
    machine.out(0x3FC, 0x08);  // OUT2
    machine.out(0x3F9, 0x02);  // transmitter empty

    EXPECT_EQ(apics.messages, (std::vector<MsiMessage>{{0xFEE0'0000, 0x4034}}));
    EXPECT_TRUE(apics.routes.empty()) << "an edge has no end that anybody waits for";
}

TEST_F(BoardOfAnEngine, LevelsAreToldAndEndByItsReport) {
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    machine.route(9, 0x39, true);
    EXPECT_EQ(apics.routes, (std::map<unsigned, MsiMessage>{{9, {0xFEE0'0000, 0xC039}}}));
    machine.out(0xB2, 2);            // ACPI mode
    machine.out(0x602, 1U << 8, 2);  // PWRBTN_EN
    machine.board->press_power_button();
    EXPECT_EQ(apics.messages.size(), 1U);

    apics.listener->end_of_interrupt(0x39);
    EXPECT_EQ(apics.messages.size(), 2U) << "the level is still there";
    machine.route(9, 0x39);
    EXPECT_TRUE(apics.routes.empty());
}

TEST_F(BoardOfAnEngine, The8259sAreLeftToTheBootProcessor) {
    EXPECT_EQ(wiring(0).interrupts, nullptr);
    EXPECT_EQ(wiring(1).ext_int, nullptr);
    ASSERT_NE(wiring(0).ext_int, nullptr);
    machine.out(0x20, 0x11);
    machine.out(0x21, 0x20);
    machine.out(0x21, 0x04);
    machine.out(0x21, 0x01);
    machine.out(0x21, 0xEF);  // all but the serial port's
    machine.out(0x3FC, 0x08);
    machine.out(0x3F9, 0x02);

    EXPECT_GE(machine.signals[0].interrupts, 1U);
    EXPECT_TRUE(wiring(0).ext_int->pending());
    EXPECT_EQ(wiring(0).ext_int->acknowledge(), 0x24);
}

TEST_F(BoardOfAnEngine, ResetsAndPreparesItsApics) {
    machine.board->reset();
    ASSERT_TRUE(machine.board->prepare_direct_boot());

    EXPECT_EQ(apics.registers[0].base, 0xFEE0'0900U);
    EXPECT_EQ(apics.registers[0].page[0x35], 0x700U) << "LINT0";
    EXPECT_EQ(apics.registers[1].page[0x35], 0x10700U);
}

TEST_F(BoardOfAnEngine, NothingAnswersWhereAnApicWouldBe) {
    EXPECT_EQ(machine.read(0xFEE00030), 0xFFFFFFFFU);
}

class BoardWithAScreen : public ::testing::Test {
protected:
    void SetUp() override {
        machine.add_vga();
        const auto built = machine.build();
        ASSERT_TRUE(built) << built.error().text();
        ASSERT_TRUE(machine.board->prepare_direct_boot());
    }
    TestMachine machine{BoardKind::pc};
};

TEST_F(BoardWithAScreen, HasAVgaBehindItsOtherFunctions) {
    EXPECT_EQ(machine.config_read(4, 0), 0x11111234U);
    const uint64_t bar = machine.config_read(4, 0x10) & kBarMask;
    ASSERT_TRUE(machine.memory.write_object(Gpa{bar + 0x100}, uint32_t{0x12345678}));
    EXPECT_EQ(std::to_integer<int>(machine.config.vga->memory[0x101]), 0x56);
}

TEST_F(BoardWithAScreen, ShowsWhatIsWrittenToTheTextWindow) {
    machine.write(0xB8000, 0x07690748, 4);
    std::string text;
    ASSERT_NE(machine.board->display(), nullptr);
    ASSERT_TRUE(machine.board->display()->text(text));
    EXPECT_EQ(text.substr(0, 3), "Hi\n");
    DisplayFrame frame;
    EXPECT_TRUE(machine.board->display()->update(frame).resized);
    EXPECT_EQ(frame.width, 720U);
}

TEST_F(BoardWithAScreen, WordsAtIndexPortsAreIndexAndData) {
    machine.out(0x3D4, 0x420F, 2);
    machine.out(0x3D4, 0x0F);
    EXPECT_EQ(machine.in(0x3D5), 0x42U);
    machine.out(0x1CE, 0, 2);
    EXPECT_EQ(machine.in(0x1CF, 2), 0xB0C5U);
}

TEST_F(BoardWithAScreen, TakesKeysAndMovements) {
    ASSERT_NE(machine.board->input(), nullptr);
    machine.board->input()->key({0x1E}, true);
    EXPECT_EQ(machine.in(0x60), 0x1EU);
    EXPECT_TRUE(machine.board->input()->ready_for_key());
    machine.out(0x64, 0xD4);
    machine.out(0x60, 0xF4);
    EXPECT_EQ(machine.in(0x60), 0xFAU);
    machine.board->input()->pointer({.dx = 3});
    EXPECT_EQ(machine.in(0x60), 0x08U);
}

TEST_F(BoardWithAScreen, SavesItsScreen) {
    machine.write(0xB8000, 0x0758, 2);
    StateWriter writer;
    machine.board->save(writer);
    machine.board->reset();
    std::string text;
    EXPECT_FALSE(machine.board->display()->text(text)) << "blank after a reset";
    StateReader reader(writer.bytes());
    ASSERT_TRUE(machine.board->restore(reader));
    ASSERT_TRUE(machine.board->display()->text(text));
    EXPECT_EQ(text.substr(0, 2), "X\n");
}

TEST_P(BoardOfKind, HasNoScreenUnlessAsked) {
    EXPECT_EQ(machine.board->display(), nullptr);
    EXPECT_EQ(machine.board->input() != nullptr, GetParam() == BoardKind::pc);
    EXPECT_EQ(machine.read(0xB8000), 0xFFFFFFFFU);
}

}  // namespace
}  // namespace banyan
