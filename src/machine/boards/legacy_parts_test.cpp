#include <cstring>
#include <gtest/gtest.h>
#include <string>

#include "machine/acpi/dsdt.hpp"
#include "machine/boards/board_testing.hpp"
#include "machine/boards/generation_id.hpp"
#include "snapshot/state.hpp"

namespace banyan {
namespace {

using testing::TestMachine;

constexpr unsigned kNone = 32;

class LegacyBoard : public ::testing::Test {
protected:
    void SetUp() override {
        machine.add_legacy_parts();
        const auto built = machine.build();
        ASSERT_TRUE(built) << built.error().text();
        ASSERT_TRUE(machine.board->prepare_direct_boot());
    }
    void command(std::initializer_list<uint8_t> bytes) {
        for (const uint8_t byte : bytes)
            machine.out(0x3F5, byte);
    }
    uint8_t cmos(uint8_t index) {
        machine.out(0x70, index);
        return static_cast<uint8_t>(machine.in(0x71));
    }
    // The device number of the function with this vendor and device id.
    unsigned find(uint32_t id) {
        for (unsigned device = 0; device < kNone; ++device)
            if (machine.config_read(device, 0) == id) return device;
        return kNone;
    }
    template <class T>
    T memory(uint64_t at) {
        T value{};
        EXPECT_TRUE(machine.memory.read_object(Gpa{at}, value));
        return value;
    }

    TestMachine machine{BoardKind::pc, 2};
};

TEST_F(LegacyBoard, FloppyReadsByDma) {
    machine.floppy.bytes()[512] = std::byte{0x42};
    EXPECT_EQ(cmos(0x10), 0x40) << "drive A has 1.44M";
    EXPECT_EQ(cmos(0x14) & 0xC1, 0x01) << "one drive";

    machine.enable_apic();
    machine.route(6, 0x36);
    machine.out(0x3F2, 0x1C);
    machine.timers.advance(1'000'000);
    EXPECT_EQ(machine.take_interrupt(), 0x36);
    for (unsigned i = 0; i < 4; ++i) {
        command({0x08});
        (void)machine.in(0x3F5);
        (void)machine.in(0x3F5);
    }
    command({0x03, 0xDF, 0x02});
    machine.out(0x3F7, 0);
    // Channel 2 to 20000h, a sector; direct boot has opened the cascade.
    for (const auto& [port, value] : std::initializer_list<std::pair<uint16_t, uint8_t>>{
             {0x0B, 0x46}, {0x04, 0}, {0x04, 0}, {0x81, 2}, {0x05, 0xFF}, {0x05, 1}, {0x0A, 2}})
        machine.out(port, value);
    command({0x46, 0, 0, 0, 2, 2, 18, 27, 255});
    EXPECT_EQ(memory<uint8_t>(0x20000), 0x42);
    EXPECT_EQ(machine.in(0x3F5), 0U) << "ST0";
}

TEST_F(LegacyBoard, NvmeAndWatchdogAreOnTheBus) {
    const unsigned nvme = find(0x0010'1B36);
    const unsigned watchdog = find(0x25AB'8086);
    ASSERT_NE(nvme, kNone);
    ASSERT_NE(watchdog, kNone);
    const uint64_t bar = machine.config_read(nvme, 0x10) & ~0xFULL;
    EXPECT_EQ(machine.read(bar + 8), 0x10400U) << "the version register";

    machine.config_write(watchdog, 0x60, 4);  // 1 MHz
    machine.config_write(watchdog, 0x68, 2);
    machine.timers.advance(3'000'000'000);
    EXPECT_EQ(machine.control.event(), MachineEvent::reset);
}

TEST_F(LegacyBoard, HasMpTables) {
    EXPECT_EQ(memory<uint32_t>(0xF0000), 0x5F504D5FU) << "_MP_";
    EXPECT_EQ(memory<uint32_t>(0xF0010), 0x504D4350U) << "PCMP";
    EXPECT_EQ(memory<uint32_t>(0xF0010 + 44), 0x0314'0000U) << "the boot processor";
}

TEST_F(LegacyBoard, GenerationIdChangesWithAnEvent) {
    EXPECT_EQ(memory<GenerationId>(kGenerationIdAddress.value), (GenerationId{1, 2, 3}));
    machine.board->set_generation_id({4, 5, 6});
    EXPECT_EQ(memory<GenerationId>(kGenerationIdAddress.value), (GenerationId{4, 5, 6}));
    EXPECT_EQ(machine.in(0x620, 2), 1U << acpi::kGenerationEvent);
}

TEST_F(LegacyBoard, IsSavedAndRestored) {
    machine.out(0x3F2, 0x1C);
    machine.out(0x81, 0x12);
    StateWriter writer;
    machine.board->save(writer);
    machine.board->reset();
    EXPECT_EQ(machine.in(0x81), 0U);
    StateReader reader(writer.bytes());
    ASSERT_TRUE(machine.board->restore(reader));
    EXPECT_EQ(machine.in(0x81), 0x12U);
    EXPECT_EQ(machine.in(0x3F2), 0x1CU);
}

std::string why_not(TestMachine& machine) {
    const auto built = machine.build();
    return built ? "" : std::string(built.error().text());
}

TEST(LegacyParts, WrongFloppiesAreRefused) {
    MemoryBlock odd(1'000'448);
    TestMachine wrong_size(BoardKind::pc);
    wrong_size.config.floppies = {&odd};
    EXPECT_NE(why_not(wrong_size).find("that of no floppy disk"), std::string::npos);

    TestMachine micro(BoardKind::micro);
    micro.config.floppies = {&micro.floppy};
    EXPECT_NE(why_not(micro).find("use --machine pc"), std::string::npos);

    TestMachine three(BoardKind::pc);
    three.config.floppies = {&three.floppy, &three.floppy, &three.floppy};
    EXPECT_NE(why_not(three).find("at most two"), std::string::npos);
}

}  // namespace
}  // namespace banyan
