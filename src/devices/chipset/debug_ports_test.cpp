#include "devices/chipset/debug_ports.hpp"

#include <gtest/gtest.h>

#include "snapshot/state.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

TEST(DebugExit, EndsTheRunWithTheValueWritten) {
    RecordingMachineControl machine;
    DebugExit chip({machine, 0x501});
    EXPECT_EQ(chip.port_write(0x501, 4, 0x12345678), IoStatus::ok);
    EXPECT_EQ(machine.event(), MachineEvent::debug_exit);
    EXPECT_EQ(machine.value(), 0x12345678U);
}

TEST(DebugExit, ReadsAndNeighboursDoNothing) {
    RecordingMachineControl machine;
    DebugExit chip({machine, 0xF4});
    uint32_t value = 1;
    EXPECT_EQ(chip.port_read(0xF4, 1, value), IoStatus::ok);
    EXPECT_EQ(value, 0U);
    EXPECT_EQ(chip.port_write(0xF5, 1, 1), IoStatus::no_register);
    EXPECT_EQ(machine.count(), 0U);
}

TEST(DebugCon, WritesCharactersAndIsFoundByReading) {
    RecordingChar out;
    DebugCon chip({out});
    for (const char c : std::string_view("hi"))
        chip.port_write(0xE9, 1, static_cast<unsigned char>(c));
    uint32_t value = 0;
    EXPECT_EQ(chip.port_read(0xE9, 1, value), IoStatus::ok);
    EXPECT_EQ(value, 0xE9U);
    EXPECT_EQ(out.text(), "hi");
    EXPECT_EQ(chip.port_write(0xE9, 2, 0x4141), IoStatus::bad_size);
}

TEST(DebugCon, DropsWhatTheBackEndHasNoRoomFor) {
    RecordingChar out;
    out.set_room(1);
    DebugCon chip({out});
    chip.port_write(0xE9, 1, 'a');
    chip.port_write(0xE9, 1, 'b');
    out.set_room(RecordingChar::kUnlimited);
    chip.port_write(0xE9, 1, 'c');
    EXPECT_EQ(out.text(), "ac");
}

TEST(PvPanic, SaysWhatItUnderstands) {
    RecordingMachineControl machine;
    PvPanic chip({machine});
    uint32_t value = 0;
    EXPECT_EQ(chip.port_read(0x505, 1, value), IoStatus::ok);
    EXPECT_EQ(value, 3U);
}

TEST(PvPanic, PanicEndsTheGuestButACrashKernelMayRun) {
    RecordingMachineControl machine;
    PvPanic chip({machine});
    chip.port_write(0x505, 1, PvPanic::kCrashLoaded);
    chip.port_write(0x505, 1, 0x80);
    EXPECT_EQ(machine.count(), 0U);
    chip.port_write(0x505, 1, PvPanic::kPanicked);
    EXPECT_EQ(machine.count(), 1U);
    EXPECT_EQ(machine.event(), MachineEvent::guest_panic);
}

TEST(DebugPorts, SaveNothingAndLoadFromAnything) {
    RecordingMachineControl machine;
    PvPanic chip({machine});
    StateWriter writer;
    chip.save(writer);
    EXPECT_TRUE(writer.bytes().empty());
    StateReader reader(writer.bytes());
    EXPECT_TRUE(chip.restore(reader));
}

}  // namespace
}  // namespace banyan
