#include "devices/serial/uart16550.hpp"

#include <gtest/gtest.h>
#include <string>

#include "devices/serial/uart16550_regs.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

using namespace uart;

constexpr uint16_t kBase = 0x2F8;

struct Board {
    RecordingChar out;
    FakeCharSource source;
    RecordingIrq irq;
    Uart16550 chip{{out, &source, irq.line(), kBase}};

    Board() { source.connect(chip); }
    uint8_t in(uint16_t reg) {
        uint32_t value = 0;
        EXPECT_EQ(chip.port_read(static_cast<uint16_t>(kBase + reg), 1, value), IoStatus::ok);
        return static_cast<uint8_t>(value);
    }
    void write(uint16_t reg, unsigned value) {
        EXPECT_EQ(chip.port_write(static_cast<uint16_t>(kBase + reg), 1, value), IoStatus::ok);
    }
    void write_text(const std::string& text) {
        for (const char c : text)
            write(RBR_THR_DLL, static_cast<unsigned char>(c));
    }
    void enable_fifos(unsigned trigger_bits = 0) { write(IIR_FCR, fcr::kEnable | trigger_bits); }
    void enable_interrupts(unsigned which) {
        write(MCR, mcr::DTR | mcr::RTS | mcr::OUT2);
        write(IER_DLM, which);
    }
    uint8_t cause() { return in(IIR_FCR)&0x0F; }
};

TEST(Uart16550, ResetValuesAreThoseOfTableTwo) {
    Board b;
    EXPECT_EQ(b.in(IER_DLM), 0x00);
    EXPECT_EQ(b.in(IIR_FCR), 0x01);
    EXPECT_EQ(b.in(LCR), 0x00);
    EXPECT_EQ(b.in(MCR), 0x00);
    EXPECT_EQ(b.in(LSR), 0x60);
    EXPECT_EQ(b.in(MSR)&msr::kDeltas, 0x00);
    EXPECT_FALSE(b.irq.level());
}

TEST(Uart16550, OnlyByteAccessesReachIt) {
    Board b;
    uint32_t value = 0;
    EXPECT_EQ(b.chip.port_read(kBase, 2, value), IoStatus::bad_size);
    EXPECT_EQ(b.chip.port_write(kBase, 4, 0x41), IoStatus::bad_size);
    EXPECT_EQ(b.out.text(), "");
}

TEST(Uart16550, UnusedBitsOfRegistersReadZero) {
    Board b;
    b.write(IER_DLM, 0xFF);
    b.write(MCR, 0xFF);
    b.write(SCR, 0xA5);
    EXPECT_EQ(b.in(IER_DLM), 0x0F);
    EXPECT_EQ(b.in(MCR), 0x1F);
    EXPECT_EQ(b.in(SCR), 0xA5);
}

TEST(Uart16550, DivisorLatchHidesDataAndInterruptEnable) {
    Board b;
    b.write(IER_DLM, 0x05);
    b.write(LCR, 0x83);
    b.write(RBR_THR_DLL, 0x01);
    b.write(IER_DLM, 0x02);
    EXPECT_EQ(b.in(RBR_THR_DLL), 0x01);
    EXPECT_EQ(b.in(IER_DLM), 0x02);
    b.write(LCR, 0x03);
    EXPECT_EQ(b.in(IER_DLM), 0x05);
    EXPECT_EQ(b.out.text(), "");
}

TEST(Uart16550, SendsWithoutFifosAndWithThem) {
    Board b;
    b.write_text("ab");
    b.enable_fifos();
    b.write_text("cd");
    EXPECT_EQ(b.out.text(), "abcd");
    EXPECT_EQ(b.in(LSR), 0x60);
}

TEST(Uart16550, FifoIdentificationNeedsBitZero) {
    Board b;
    b.write(IIR_FCR, 0xC0);  // trigger level without the enable bit: not programmed
    EXPECT_EQ(b.in(IIR_FCR), 0x01);
    b.write(IIR_FCR, 0xC1);
    EXPECT_EQ(b.in(IIR_FCR), 0xC1);
    b.write(IIR_FCR, 0x00);
    EXPECT_EQ(b.in(IIR_FCR), 0x01);
}

TEST(Uart16550, BackPressureKeepsCharactersAndClearsThre) {
    Board b;
    b.enable_fifos();
    b.out.set_room(2);
    b.write_text("abcd");
    EXPECT_EQ(b.out.text(), "ab");
    EXPECT_EQ(b.in(LSR) & (lsr::THRE | lsr::TEMT), 0);
    b.out.set_room(1);
    b.chip.on_writable();
    EXPECT_EQ(b.out.text(), "abc");
    EXPECT_EQ(b.in(LSR)&lsr::THRE, 0);
    b.out.set_room(RecordingChar::kUnlimited);
    b.chip.on_writable();
    EXPECT_EQ(b.out.text(), "abcd");
    EXPECT_EQ(b.in(LSR), 0x60);
}

TEST(Uart16550, WritesBeyondAFullTransmitterAreLost) {
    Board b;
    b.enable_fifos();
    b.out.set_room(0);
    b.write_text("0123456789abcdefXY");
    b.out.set_room(RecordingChar::kUnlimited);
    b.chip.on_writable();
    EXPECT_EQ(b.out.text(), "0123456789abcdef");
}

TEST(Uart16550, HoldingRegisterIsOverwrittenWithoutFifos) {
    Board b;
    b.out.set_room(0);
    b.write_text("xy");
    b.out.set_room(RecordingChar::kUnlimited);
    b.chip.on_writable();
    EXPECT_EQ(b.out.text(), "y");
}

TEST(Uart16550, TransmitterInterruptWaitsForBackPressure) {
    Board b;
    b.enable_fifos();
    b.enable_interrupts(ier::ETBEI);
    EXPECT_EQ(b.cause(), iir::kTransmitterEmpty);
    b.out.set_room(0);
    b.write_text("z");
    EXPECT_FALSE(b.irq.level());
    b.out.set_room(RecordingChar::kUnlimited);
    b.chip.on_writable();
    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.cause(), iir::kTransmitterEmpty);
}

// What Linux's serial8250_do_startup does to find ports whose THRE interrupt does not come back
// (UART_BUG_THRE).
TEST(Uart16550, EnablingTheTransmitterInterruptRaisesItEachTime) {
    Board b;
    b.write(MCR, mcr::OUT2);
    for (int i = 0; i < 2; ++i) {
        b.write(IER_DLM, ier::ETBEI);
        EXPECT_TRUE(b.irq.level());
        EXPECT_EQ(b.in(IIR_FCR), iir::kTransmitterEmpty);
        EXPECT_FALSE(b.irq.level()) << "reading the IIR resets it";
        EXPECT_EQ(b.in(IIR_FCR), iir::kNone);
        b.write(IER_DLM, 0);
    }
}

// The same, UART_BUG_TXEN: LSR is read between enabling and IIR.
TEST(Uart16550, TransmitterInterruptSurvivesReadingLsr) {
    Board b;
    b.write(IER_DLM, ier::ETBEI);
    EXPECT_EQ(b.in(LSR)&lsr::TEMT, lsr::TEMT);
    EXPECT_EQ(b.in(IIR_FCR), iir::kTransmitterEmpty);
}

TEST(Uart16550, EachCharacterSentGivesAnEdge) {
    Board b;
    b.enable_fifos();
    b.enable_interrupts(ier::ETBEI);
    b.irq.clear_counts();
    b.write_text("ab");
    EXPECT_EQ(b.irq.rises(), 2U);
    EXPECT_TRUE(b.irq.level());
}

TEST(Uart16550, RewritingTheEnableBitDoesNotRaiseTheInterruptAgain) {
    Board b;
    b.enable_interrupts(ier::ETBEI);
    EXPECT_EQ(b.cause(), iir::kTransmitterEmpty);
    b.write(IER_DLM, ier::ETBEI | ier::ERBFI);
    EXPECT_EQ(b.cause(), iir::kNone);
}

TEST(Uart16550, ReceivesOneCharacterWithoutFifos) {
    Board b;
    b.enable_interrupts(ier::ERBFI);
    b.source.send("xyz");
    EXPECT_EQ(b.source.waiting(), 2U);
    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.cause(), iir::kDataAvailable);
    EXPECT_EQ(b.in(LSR)&lsr::DR, lsr::DR);
    EXPECT_EQ(b.in(RBR_THR_DLL), 'x');
    EXPECT_EQ(b.in(RBR_THR_DLL), 'y') << "the source was told of the room";
    EXPECT_EQ(b.in(RBR_THR_DLL), 'z');
    EXPECT_FALSE(b.irq.level());
    EXPECT_EQ(b.in(LSR)&lsr::DR, 0);
}

TEST(Uart16550, ReceiveRoomFollowsTheFifo) {
    Board b;
    EXPECT_EQ(b.chip.receive_room(), 1U);
    b.enable_fifos();
    EXPECT_EQ(b.chip.receive_room(), 16U);
    b.source.send(std::string(20, 'q'));
    EXPECT_EQ(b.chip.receive_room(), 0U);
    EXPECT_EQ(b.source.waiting(), 4U);
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(b.in(RBR_THR_DLL), 'q');
    EXPECT_EQ(b.in(LSR) & (lsr::DR | lsr::OE), 0);
}

struct TriggerCase {
    unsigned fcr_bits;
    unsigned level;
};
class Uart16550Trigger : public testing::TestWithParam<TriggerCase> {};

TEST_P(Uart16550Trigger, BelowTheLevelItIsATimeoutFromItOnDataAvailable) {
    Board b;
    b.enable_fifos(GetParam().fcr_bits);
    b.enable_interrupts(ier::ERBFI);
    b.source.send(std::string(GetParam().level, 'a'));
    EXPECT_EQ(b.in(IIR_FCR), 0xC4);
    b.in(RBR_THR_DLL);
    const bool more = GetParam().level > 1;
    EXPECT_EQ(b.in(IIR_FCR), more ? 0xCC : 0xC1);
    EXPECT_EQ(b.irq.level(), more);
}
INSTANTIATE_TEST_SUITE_P(Levels, Uart16550Trigger,
                         testing::Values(TriggerCase{0x00, 1}, TriggerCase{0x40, 4},
                                         TriggerCase{0x80, 8}, TriggerCase{0xC0, 14}));

TEST(Uart16550, LineStatusComesBeforeDataBeforeTransmitterBeforeModem) {
    Board b;
    b.write(MCR, mcr::kLoop);  // deltas: CTS, DSR and DCD went away
    b.write(IER_DLM, 0x0F);
    b.write_text("ab");  // the second overruns the first
    EXPECT_EQ(b.in(IIR_FCR), iir::kLineStatus);
    EXPECT_EQ(b.in(LSR), lsr::DR | lsr::OE | lsr::THRE | lsr::TEMT);
    EXPECT_EQ(b.in(IIR_FCR), iir::kDataAvailable);
    EXPECT_EQ(b.in(RBR_THR_DLL), 'b');
    EXPECT_EQ(b.in(IIR_FCR), iir::kTransmitterEmpty);
    EXPECT_EQ(b.in(IIR_FCR), iir::kModemStatus);
    EXPECT_EQ(b.in(MSR), msr::DCTS | msr::DDSR | msr::DDCD);
    EXPECT_EQ(b.in(IIR_FCR), iir::kNone);
}

TEST(Uart16550, FifoOverrunKeepsWhatItHas) {
    Board b;
    b.enable_fifos();
    b.write(MCR, mcr::kLoop);
    b.write_text("0123456789abcdefX");
    EXPECT_EQ(b.in(LSR)&lsr::OE, lsr::OE);
    EXPECT_EQ(b.in(LSR)&lsr::OE, 0) << "reading the LSR clears it";
    std::string got;
    while ((b.in(LSR)&lsr::DR) != 0)
        got += static_cast<char>(b.in(RBR_THR_DLL));
    EXPECT_EQ(got, "0123456789abcdef");
    EXPECT_EQ(b.out.text(), "");
}

// The loopback test of Linux's autoconfig().
TEST(Uart16550, LoopbackConnectsModemOutputsToInputs) {
    Board b;
    b.write(MCR, mcr::kLoop | mcr::OUT2 | mcr::RTS);
    EXPECT_EQ(b.in(MSR)&0xF0, msr::DCD | msr::CTS);
    b.write(MCR, mcr::kLoop | mcr::OUT1 | mcr::DTR);
    EXPECT_EQ(b.in(MSR), msr::RI | msr::DSR | msr::DCTS | msr::DDSR | msr::DDCD);
    b.write(MCR, mcr::kLoop | mcr::DTR);
    EXPECT_EQ(b.in(MSR), msr::DSR | msr::TERI) << "RI counts when it ends";
    b.write(MCR, 0);
    EXPECT_EQ(b.in(MSR)&0xF0, msr::CTS | msr::DSR | msr::DCD);
}

TEST(Uart16550, LoopbackHoldsTheLineOff) {
    Board b;
    b.write(MCR, mcr::kLoop);
    b.source.send("in");
    EXPECT_EQ(b.source.waiting(), 2U);
    EXPECT_EQ(b.in(LSR)&lsr::DR, 0);
    b.write(MCR, 0);
    EXPECT_EQ(b.in(RBR_THR_DLL), 'i');
}

TEST(Uart16550, BreakInLoopbackIsRevealedAtTheTopOfTheFifo) {
    Board b;
    b.enable_fifos();
    b.write(MCR, mcr::kLoop);
    b.write_text("a");
    b.write(LCR, lcr::kSetBreak);
    b.write(LCR, 0);
    EXPECT_EQ(b.in(LSR) & (lsr::BI | lsr::kFifoError), lsr::kFifoError);
    EXPECT_EQ(b.in(RBR_THR_DLL), 'a');
    EXPECT_EQ(b.in(LSR) & (lsr::BI | lsr::kFifoError), lsr::BI | lsr::kFifoError);
    EXPECT_EQ(b.in(LSR) & (lsr::BI | lsr::kFifoError), 0);
    EXPECT_EQ(b.in(RBR_THR_DLL), 0);
}

TEST(Uart16550, InterruptNeedsOut2) {
    Board b;
    b.write(IER_DLM, ier::ERBFI);
    b.source.send("k");
    EXPECT_FALSE(b.irq.level());
    b.write(MCR, mcr::OUT2);
    EXPECT_TRUE(b.irq.level());
    b.write(MCR, mcr::OUT2 | mcr::kLoop);
    EXPECT_FALSE(b.irq.level());
}

TEST(Uart16550, FifoResetBitsClearOnlyTheirFifo) {
    Board b;
    b.enable_fifos();
    b.source.send("in");
    b.out.set_room(0);
    b.write_text("out");
    b.write(IIR_FCR, fcr::kEnable | fcr::kResetReceive);
    EXPECT_EQ(b.in(LSR) & (lsr::DR | lsr::THRE), 0);
    b.write(IIR_FCR, fcr::kEnable | fcr::kResetTransmit);
    EXPECT_EQ(b.in(LSR) & (lsr::DR | lsr::THRE), lsr::THRE);
    EXPECT_EQ(b.in(IIR_FCR)&0xC0, 0xC0) << "the reset bits clear themselves";
}

// Linux takes a 16550A for what it is: the tests for its successors must fail.
TEST(Uart16550, ShowsNoFeatureOfLaterChips) {
    Board b;
    b.enable_fifos();
    b.write(LCR, 0x80);
    EXPECT_NE(b.in(IIR_FCR), 0) << "an EFR of zero would be a 16650";
    b.write(IIR_FCR, 0x21);
    EXPECT_EQ(b.in(IIR_FCR) >> 5, 6) << "bit 5 would be a 16750";
    b.write(LCR, 0);
    b.write(IER_DLM, 0x40);
    EXPECT_EQ(b.in(IER_DLM), 0) << "bit 6 would be an XScale UART";
}

TEST(Uart16550, SavesItsState) {
    std::vector<std::unique_ptr<Board>> boards;
    const auto make = [&] {
        boards.push_back(std::make_unique<Board>());
        return &boards.back()->chip;
    };
    const auto use = [&](Uart16550& chip) {
        Board& b = *boards[1];
        ASSERT_EQ(&chip, &b.chip);
        b.enable_fifos(0x80);
        b.enable_interrupts(0x0F);
        b.source.send("typed");
        b.out.set_room(0);
        b.write_text("held");
        b.write(SCR, 0x77);
        b.write(LCR, 0x1B);
    };
    check_saved_state(make, use);
}

TEST(Uart16550, ContinuesAfterRestore) {
    Board before;
    before.enable_fifos();
    before.enable_interrupts(ier::ERBFI);
    before.source.send("ab");
    before.out.set_room(0);
    before.write_text("cd");
    const auto saved = saved_bytes(before.chip);

    Board after;
    StateReader reader(saved);
    ASSERT_TRUE(after.chip.restore(reader));
    EXPECT_TRUE(after.irq.level());
    EXPECT_EQ(after.in(RBR_THR_DLL), 'a');
    EXPECT_EQ(after.in(RBR_THR_DLL), 'b');
    after.chip.on_writable();
    EXPECT_EQ(after.out.text(), "cd");
}

}  // namespace
}  // namespace banyan
