#include "devices/chipset/i8042.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "devices/chipset/i8042_regs.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

using namespace kbc;

constexpr unsigned kKeyboardWire = 1;
constexpr unsigned kMouseWire = 12;

struct I8042Board {
    RecordingIrq irq;
    RecordingMachineControl machine;
    I8042 chip{{irq.line(kKeyboardWire), irq.line(kMouseWire), machine}};

    uint8_t in(uint16_t port) {
        uint32_t value = 0;
        EXPECT_EQ(chip.port_read(port, 1, value), IoStatus::ok);
        return static_cast<uint8_t>(value);
    }
    void out(uint16_t port, unsigned value) {
        EXPECT_EQ(chip.port_write(port, 1, value), IoStatus::ok);
    }
    void command(unsigned value) { out(kCommandPort, value); }
    void command(unsigned value, unsigned parameter) {
        command(value);
        out(kDataPort, parameter);
    }
    uint8_t status() { return in(kCommandPort); }
    // All that waits in the output buffer and behind it.
    std::vector<unsigned> drain() {
        std::vector<unsigned> bytes;
        while ((status() & status::OBF) != 0 && bytes.size() < 64)
            bytes.push_back(in(kDataPort));
        return bytes;
    }
    std::vector<unsigned> ask(unsigned value) {
        command(value);
        return drain();
    }
    std::vector<unsigned> keyboard(unsigned value) {
        out(kDataPort, value);
        return drain();
    }
};

using Bytes = std::vector<unsigned>;

TEST(I8042, StartsIdleAndUnlocked) {
    I8042Board b;
    EXPECT_EQ(b.status(), status::kUnlocked | status::SYS);
    EXPECT_EQ(b.ask(READ_RAM), Bytes{0x65});
}

TEST(I8042, SelfAndInterfaceTests) {
    I8042Board b;
    EXPECT_EQ(b.ask(SELF_TEST), Bytes{0x55});
    EXPECT_EQ(b.ask(TEST_KEYBOARD), Bytes{0x00});
    EXPECT_EQ(b.ask(TEST_MOUSE), Bytes{0x01}) << "no mouse";
    EXPECT_EQ(b.ask(TEST_PASSWORD), Bytes{0xF1});
    EXPECT_EQ(b.ask(READ_INPUT_PORT), Bytes{0x80});
    EXPECT_EQ(b.ask(READ_TEST_INPUTS), Bytes{0x00});
    EXPECT_EQ(b.ask(0xBB), Bytes{}) << "no such command";
}

TEST(I8042, StatusTellsCommandFromData) {
    I8042Board b;
    b.command(DISABLE_KEYBOARD);
    EXPECT_EQ(b.status() & status::CD, status::CD);
    b.out(kDataPort, 0xEE);
    EXPECT_EQ(b.status() & status::CD, 0);
}

TEST(I8042, RamIsWrittenAndRead) {
    I8042Board b;
    b.command(WRITE_RAM + 0x1F, 0xA5);
    EXPECT_EQ(b.ask(READ_RAM + 0x1F), Bytes{0xA5});
    b.command(WRITE_RAM, 0x30);
    EXPECT_EQ(b.ask(READ_RAM), Bytes{0x30});
    EXPECT_EQ(b.status() & status::SYS, 0) << "the system flag is that of the command byte";
}

// In the order of Linux's i8042_controller_check, _init, check_aux and the keyboard driver's probe.
TEST(I8042, AnswersTheProbingOfLinux) {
    I8042Board b;
    EXPECT_EQ(b.ask(SELF_TEST), Bytes{0x55});
    EXPECT_EQ(b.ask(READ_RAM), Bytes{0x65});
    b.command(WRITE_RAM, 0x74);  // keyboard off, no interrupts
    b.command(WRITE_MOUSE_BUFFER, 0x5A);
    EXPECT_EQ(b.status() & (status::OBF | status::AUXB), status::OBF) << "no mouse port answers";
    EXPECT_EQ(b.drain(), Bytes{0x5A});
    EXPECT_EQ(b.ask(TEST_MOUSE), Bytes{0x01});
    b.command(WRITE_RAM, 0x65);
    EXPECT_EQ(b.keyboard(0xF2), (Bytes{0xFA, 0xAB, 0x41})) << "the ID is translated";
    EXPECT_EQ(b.keyboard(0xED), Bytes{0xFA});
    EXPECT_EQ(b.keyboard(0x00), Bytes{0xFA});
    EXPECT_EQ(b.keyboard(0xF3), Bytes{0xFA});
    EXPECT_EQ(b.keyboard(0x00), Bytes{0xFA});
    EXPECT_EQ(b.keyboard(0xF4), Bytes{0xFA});
    EXPECT_EQ(b.machine.count(), 0U);
}

TEST(I8042, KeyboardAnswersWithoutTranslation) {
    I8042Board b;
    b.command(WRITE_RAM, 0x25);
    EXPECT_EQ(b.keyboard(0xFF), (Bytes{0xFA, 0xAA}));
    EXPECT_EQ(b.keyboard(0xF2), (Bytes{0xFA, 0xAB, 0x83}));
    EXPECT_EQ(b.keyboard(0xEE), Bytes{0xEE});
    EXPECT_EQ(b.keyboard(0xFE), Bytes{0xEE}) << "the last byte again";
    EXPECT_EQ(b.keyboard(0xF8), Bytes{0xFA});
    EXPECT_EQ(b.keyboard(0x12), Bytes{0xFE}) << "not a command";
}

TEST(I8042, ScanCodeSetIsKept) {
    I8042Board b;
    b.command(WRITE_RAM, 0x25);
    EXPECT_EQ(b.keyboard(0xF0), Bytes{0xFA});
    EXPECT_EQ(b.keyboard(0x03), Bytes{0xFA});
    b.keyboard(0xF0);
    EXPECT_EQ(b.keyboard(0x00), (Bytes{0xFA, 0x03}));
    b.keyboard(0xF0);
    EXPECT_EQ(b.keyboard(0x04), Bytes{0xFE});
    EXPECT_EQ(b.keyboard(0xF6), Bytes{0xFA});
    b.command(WRITE_RAM, 0x65);
    b.keyboard(0xF0);
    EXPECT_EQ(b.keyboard(0x00), (Bytes{0xFA, 0x41})) << "set 2, translated";
}

TEST(I8042, CommandInPlaceOfAParameterIsACommand) {
    I8042Board b;
    EXPECT_EQ(b.keyboard(0xED), Bytes{0xFA});
    EXPECT_EQ(b.keyboard(0xEE), Bytes{0xEE});
    EXPECT_EQ(b.keyboard(0x05), Bytes{0xFE}) << "no parameter is waited for any more";
}

TEST(I8042, EachByteGivesAnEdge) {
    I8042Board b;
    b.out(kDataPort, 0xF2);
    EXPECT_TRUE(b.irq.level(kKeyboardWire));
    b.drain();
    EXPECT_EQ(b.irq.rises(kKeyboardWire), 3U);
    EXPECT_FALSE(b.irq.level(kKeyboardWire));
    EXPECT_EQ(b.irq.rises(kMouseWire), 0U);
}

TEST(I8042, InterruptNeedsItsEnable) {
    I8042Board b;
    b.command(WRITE_RAM, 0x64);
    b.out(kDataPort, 0xEE);
    EXPECT_FALSE(b.irq.level(kKeyboardWire));
    EXPECT_EQ(b.drain(), Bytes{0xEE});
}

TEST(I8042, DisabledKeyboardHoldsItsBytes) {
    I8042Board b;
    b.out(kDataPort, 0xF2);
    b.command(DISABLE_KEYBOARD);
    EXPECT_EQ(b.drain(), Bytes{0xFA}) << "what had arrived";
    b.command(ENABLE_KEYBOARD);
    EXPECT_EQ(b.drain(), (Bytes{0xAB, 0x41}));
}

TEST(I8042, ByteForTheKeyboardEnablesIt) {
    I8042Board b;
    b.command(DISABLE_KEYBOARD);
    EXPECT_EQ(b.keyboard(0xEE), Bytes{0xEE});
    EXPECT_EQ(b.ask(READ_RAM), Bytes{0x65});
}

TEST(I8042, EnabledMousePortTimesOut) {
    I8042Board b;
    b.command(ENABLE_MOUSE);
    b.command(WRITE_RAM, 0x47);
    b.command(WRITE_MOUSE_BUFFER, 0x5A);
    EXPECT_TRUE(b.irq.level(kMouseWire));
    EXPECT_EQ(b.status() & (status::OBF | status::AUXB | status::TO), status::OBF | status::AUXB);
    EXPECT_EQ(b.drain(), Bytes{0x5A});
    b.command(WRITE_MOUSE, 0xF2);
    EXPECT_EQ(b.status() & (status::OBF | status::AUXB | status::TO),
              status::OBF | status::AUXB | status::TO);
    EXPECT_EQ(b.drain(), Bytes{0xFE});
    EXPECT_EQ(b.status() & status::TO, 0);
    EXPECT_EQ(b.irq.rises(kKeyboardWire), 0U);
}

TEST(I8042, KeyboardBufferCanBeWritten) {
    I8042Board b;
    b.command(WRITE_KEYBOARD_BUFFER, 0x1C);
    EXPECT_TRUE(b.irq.level(kKeyboardWire));
    EXPECT_EQ(b.drain(), Bytes{0x1C});
}

TEST(I8042, OutputPortHoldsA20) {
    I8042Board b;
    EXPECT_EQ(b.ask(READ_OUTPUT_PORT), Bytes{0xC3});
    b.command(DISABLE_A20);
    EXPECT_EQ(b.ask(READ_OUTPUT_PORT), Bytes{0xC1});
    b.command(WRITE_OUTPUT_PORT, 0x03);
    EXPECT_EQ(b.ask(READ_OUTPUT_PORT), Bytes{0xC3});
    b.command(WRITE_OUTPUT_PORT, 0x01);
    b.command(ENABLE_A20);
    b.command(WRITE_KEYBOARD_BUFFER, 0x1C);
    EXPECT_EQ(b.ask(READ_OUTPUT_PORT), Bytes{0xD3}) << "IRQ 1 is seen in it";
    EXPECT_EQ(b.machine.count(), 0U);
}

TEST(I8042, PulseOfTheResetLineResets) {
    I8042Board b;
    b.command(0xFF);
    b.command(0xF1);
    EXPECT_EQ(b.machine.count(), 0U);
    b.command(0xFE);
    EXPECT_EQ(b.machine.count(), 1U);
    EXPECT_EQ(b.machine.event(), MachineEvent::reset);
}

TEST(I8042, ClearResetBitOfTheOutputPortResets) {
    I8042Board b;
    b.command(WRITE_OUTPUT_PORT, 0x02);
    EXPECT_EQ(b.machine.count(), 1U);
}

TEST(I8042, Port92HoldsA20AndResetsOnARisingEdge) {
    I8042Board b;
    EXPECT_EQ(b.in(kPort92), 0x02);
    b.out(kPort92, 0x00);
    EXPECT_EQ(b.in(kPort92), 0x00);
    b.out(kPort92, 0x03);
    EXPECT_EQ(b.machine.count(), 1U);
    b.out(kPort92, 0x03);
    EXPECT_EQ(b.machine.count(), 1U);
}

TEST(I8042, SavesItsState) {
    std::vector<std::unique_ptr<I8042Board>> boards;
    const auto make = [&] {
        boards.push_back(std::make_unique<I8042Board>());
        return &boards.back()->chip;
    };
    const auto use = [&](I8042&) {
        I8042Board& b = *boards[1];
        b.keyboard(0xF0);
        b.keyboard(0x03);
        b.out(kDataPort, 0xF2);
        b.out(kPort92, 0x00);
        b.command(WRITE_RAM + 5);
    };
    check_saved_state(make, use);
}

TEST(I8042, AnswersSurviveRestore) {
    I8042Board before;
    before.out(kDataPort, 0xF2);
    const auto saved = saved_bytes(before.chip);

    I8042Board after;
    StateReader reader(saved);
    ASSERT_TRUE(after.chip.restore(reader));
    EXPECT_TRUE(after.irq.level(kKeyboardWire));
    EXPECT_EQ(after.drain(), (Bytes{0xFA, 0xAB, 0x41}));
}

}  // namespace
}  // namespace banyan
