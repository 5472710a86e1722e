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
    FakeClock clock;
    FakeTimerService timers{clock};
    I8042 chip{{irq.line(kKeyboardWire), irq.line(kMouseWire), machine, clock, timers}};

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
    std::vector<unsigned> mouse(unsigned value) {
        command(WRITE_MOUSE, value);
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
    EXPECT_EQ(b.ask(TEST_MOUSE), Bytes{0x00});
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
    EXPECT_EQ(b.status() & (status::OBF | status::AUXB), status::OBF | status::AUXB);
    EXPECT_EQ(b.drain(), Bytes{0x5A});
    EXPECT_EQ(b.ask(TEST_MOUSE), Bytes{0x00});
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
    EXPECT_EQ(b.keyboard(0x01), Bytes{0xFA});
    b.keyboard(0xF0);
    EXPECT_EQ(b.keyboard(0x00), (Bytes{0xFA, 0x01}));
    b.keyboard(0xF0);
    EXPECT_EQ(b.keyboard(0x03), Bytes{0xFE}) << "there is no set 3";
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

TEST(I8042, MouseBufferCanBeWritten) {
    I8042Board b;
    b.command(WRITE_RAM, 0x47);
    b.command(WRITE_MOUSE_BUFFER, 0x5A);
    EXPECT_TRUE(b.irq.level(kMouseWire));
    EXPECT_EQ(b.status() & (status::OBF | status::AUXB), status::OBF | status::AUXB);
    EXPECT_EQ(b.drain(), Bytes{0x5A});
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

constexpr KeyCode kA{0x1E};
constexpr KeyCode kRight{KeyCode::kExtended | 0x4D};
constexpr KeyCode kF7{0x41};
constexpr KeyCode kPauseKey{KeyCode::kExtended | 0x46};

Bytes press_and_release(I8042Board& b, KeyCode key) {
    b.chip.key(key, true);
    b.chip.key(key, false);
    return b.drain();
}

TEST(I8042, KeysComeTranslated) {
    I8042Board b;
    EXPECT_EQ(press_and_release(b, kA), (Bytes{0x1E, 0x9E}));
    EXPECT_EQ(press_and_release(b, kRight), (Bytes{0xE0, 0x4D, 0xE0, 0xCD}));
    EXPECT_EQ(press_and_release(b, kF7), (Bytes{0x41, 0xC1}));
    EXPECT_EQ(press_and_release(b, kPauseKey), (Bytes{0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5}));
    EXPECT_EQ(b.irq.rises(kKeyboardWire), 14U);
}

TEST(I8042, KeysOfSet2) {
    I8042Board b;
    b.command(WRITE_RAM, 0x25);
    EXPECT_EQ(press_and_release(b, kA), (Bytes{0x1C, 0xF0, 0x1C}));
    EXPECT_EQ(press_and_release(b, kRight), (Bytes{0xE0, 0x74, 0xE0, 0xF0, 0x74}));
    EXPECT_EQ(press_and_release(b, kF7), (Bytes{0x83, 0xF0, 0x83}));
    EXPECT_EQ(press_and_release(b, kPauseKey),
              (Bytes{0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77}));
}

TEST(I8042, KeysOfSet1) {
    I8042Board b;
    b.command(WRITE_RAM, 0x25);
    b.keyboard(0xF0);
    b.keyboard(0x01);
    EXPECT_EQ(press_and_release(b, kRight), (Bytes{0xE0, 0x4D, 0xE0, 0xCD}));
    EXPECT_EQ(press_and_release(b, kPauseKey), (Bytes{0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5}));
}

// Every key reaches the guest as itself: the two tables are each other's inverse.
TEST(I8042, TranslationKeepsEveryKey) {
    I8042Board b;
    for (unsigned code = 1; code < 0x7F; ++code) {
        const KeyCode key{static_cast<uint8_t>(code)};
        EXPECT_EQ(press_and_release(b, key), (Bytes{code, code | 0x80})) << code;
    }
}

TEST(I8042, HeldKeyIsRepeated) {
    I8042Board b;
    b.chip.key(kA, true);
    EXPECT_EQ(b.drain(), Bytes{0x1E});
    b.timers.advance(499'000'000);
    EXPECT_EQ(b.drain(), Bytes{});
    b.timers.advance(2'000'000);
    EXPECT_EQ(b.drain(), Bytes{0x1E});
    unsigned repeats = 0;
    for (unsigned i = 0; i < 100; ++i) {
        b.timers.advance(10'000'000);
        repeats += static_cast<unsigned>(b.drain().size());
    }
    EXPECT_NEAR(repeats, 11, 1);
    b.chip.key(kA, false);
    EXPECT_EQ(b.drain(), Bytes{0x9E});
    b.timers.advance(kNsPerSecond);
    EXPECT_EQ(b.drain(), Bytes{});
    EXPECT_EQ(b.timers.armed(), 0U);
}

TEST(I8042, TypematicRateCanBeSet) {
    I8042Board b;
    b.keyboard(0xF3);
    b.keyboard(0x00);  // 250 ms, 30 a second
    b.chip.key(kA, true);
    b.drain();
    unsigned repeats = 0;
    for (unsigned i = 0; i < 125; ++i) {
        b.timers.advance(10'000'000);
        repeats += static_cast<unsigned>(b.drain().size());
    }
    EXPECT_NEAR(repeats, 30, 1);
}

TEST(I8042, DisabledScanningDropsKeys) {
    I8042Board b;
    b.keyboard(0xF5);
    EXPECT_EQ(press_and_release(b, kA), Bytes{});
    b.keyboard(0xF4);
    EXPECT_EQ(press_and_release(b, kA), (Bytes{0x1E, 0x9E}));
}

TEST(I8042, FullKeyboardSaysSo) {
    I8042Board b;
    for (uint8_t code = 1; code < 40; ++code)
        b.chip.key({code}, true);
    EXPECT_FALSE(b.chip.ready_for_key());
    const Bytes bytes = b.drain();
    EXPECT_EQ(bytes.size(), 17U) << "one was on its way";
    EXPECT_EQ(bytes[0], 1U);
    EXPECT_EQ(bytes[16], 17U);
    EXPECT_TRUE(b.chip.ready_for_key());
}

TEST(I8042, RepliesComeBeforeKeys) {
    I8042Board b;
    b.command(DISABLE_KEYBOARD);
    b.chip.key(kA, true);
    b.out(kDataPort, 0xEE);
    EXPECT_EQ(b.drain(), (Bytes{0xEE, 0x1E}));
}

TEST(Ps2Mouse, AnswersItsDriver) {
    I8042Board b;
    EXPECT_EQ(b.mouse(0xFF), (Bytes{0xFA, 0xAA, 0x00}));
    EXPECT_EQ(b.mouse(0xF2), (Bytes{0xFA, 0x00}));
    EXPECT_EQ(b.mouse(0xE8), Bytes{0xFA});
    EXPECT_EQ(b.mouse(0x03), Bytes{0xFA});
    EXPECT_EQ(b.mouse(0xE7), Bytes{0xFA});
    EXPECT_EQ(b.mouse(0xF4), Bytes{0xFA});
    EXPECT_EQ(b.mouse(0xE9), (Bytes{0xFA, 0x30, 0x03, 100}));
    EXPECT_EQ(b.mouse(0xF3), Bytes{0xFA});
    EXPECT_EQ(b.mouse(33), Bytes{0xFC}) << "no such rate";
    EXPECT_EQ(b.mouse(0xB0), Bytes{0xFE}) << "no such command";
    EXPECT_EQ(b.mouse(0xEE), Bytes{0xFA});
    EXPECT_EQ(b.mouse(0xF4), Bytes{0xF4}) << "wrapped";
    EXPECT_EQ(b.mouse(0xEC), Bytes{0xFA});
}

struct MouseBoard : I8042Board {
    MouseBoard() {
        command(WRITE_RAM, 0x47);
        mouse(0xF4);
    }
    Bytes move(const PointerEvent& event) {
        chip.pointer(event);
        Bytes bytes = drain();
        timers.advance(20'000'000);
        return bytes;
    }
    void knock(std::vector<unsigned> rates) {
        for (const unsigned rate : rates) {
            mouse(0xF3);
            mouse(rate);
        }
    }
};

TEST(Ps2Mouse, ReportsMovementsAndButtons) {
    MouseBoard b;
    EXPECT_EQ(b.move({.dx = 5, .dy = 3}), (Bytes{0x28, 5, 0xFD}));
    EXPECT_EQ(b.move({.dx = -1, .dy = -2, .buttons = PointerEvent::left}),
              (Bytes{0x19, 0xFF, 0x02}));
    EXPECT_EQ(b.move({.buttons = PointerEvent::left}), Bytes{}) << "nothing new";
    EXPECT_EQ(b.move({.wheel = 1}), (Bytes{0x08, 0, 0})) << "the button; no wheel was asked for";
    EXPECT_EQ(b.irq.rises(kKeyboardWire), 0U);
}

TEST(Ps2Mouse, LongMovementTakesSeveralPackets) {
    MouseBoard b;
    EXPECT_EQ(b.move({.dx = 600}), (Bytes{0x08, 255, 0}));
    EXPECT_EQ(b.drain(), (Bytes{0x08, 255, 0, 0x08, 90, 0}));
}

TEST(Ps2Mouse, PacketsComeAtTheRate) {
    MouseBoard b;
    b.mouse(0xF3);
    b.mouse(10);
    b.chip.pointer({.dx = 1});
    EXPECT_EQ(b.drain().size(), 3U);
    b.chip.pointer({.dx = 1});
    b.chip.pointer({.dx = 1});
    EXPECT_EQ(b.drain().size(), 0U);
    b.timers.advance(101'000'000);
    EXPECT_EQ(b.drain(), (Bytes{0x08, 2, 0}));
}

TEST(Ps2Mouse, WheelAndFiveButtons) {
    MouseBoard b;
    b.knock({200, 100, 80});
    EXPECT_EQ(b.mouse(0xF2), (Bytes{0xFA, 3}));
    EXPECT_EQ(b.move({.wheel = -1}), (Bytes{0x08, 0, 0, 0xFF}));
    b.knock({200, 200, 80});
    EXPECT_EQ(b.mouse(0xF2), (Bytes{0xFA, 4}));
    EXPECT_EQ(b.move({.wheel = 1, .buttons = PointerEvent::extra}), (Bytes{0x08, 0, 0, 0x21}));
}

TEST(Ps2Mouse, RemoteModeWaitsToBeAsked) {
    MouseBoard b;
    b.mouse(0xF0);
    EXPECT_EQ(b.move({.dx = 7}), Bytes{});
    EXPECT_EQ(b.mouse(0xEB), (Bytes{0xFA, 0x08, 7, 0}));
}

TEST(Ps2Mouse, DisabledPortHoldsItsBytes) {
    MouseBoard b;
    b.command(DISABLE_MOUSE);
    EXPECT_EQ(b.move({.dx = 7}), Bytes{});
    b.command(ENABLE_MOUSE);
    EXPECT_EQ(b.drain(), (Bytes{0x08, 7, 0}));
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
        b.mouse(0xF4);
        b.out(kDataPort, 0xF2);
        b.chip.pointer({.dx = 1000, .dy = -3, .buttons = PointerEvent::left});
        b.chip.key(kA, true);
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
