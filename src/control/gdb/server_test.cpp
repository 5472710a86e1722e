#include "control/gdb/server.hpp"

#include <gtest/gtest.h>

#include "control/gdb/registers.hpp"
#include "control/gdb/testing/fake_vm.hpp"

namespace banyan::gdb {
namespace {

class GdbServerTest : public testing::Test, private GdbOutput {
protected:
    void SetUp() override {
        server.connected();
        server.received(frame("qSupported:swbreak+;hwbreak+"));
        server.received(frame("QStartNoAckMode"));
        sent.clear();
    }
    void send(std::string_view bytes) override { sent += bytes; }

    // What is answered, without its frame.
    std::string ask(std::string_view packet) {
        sent.clear();
        server.received(frame(packet));
        return payload();
    }
    std::string payload() const {
        PacketReader reader;
        for (const char byte : sent) {
            const auto event = reader.take(byte);
            if (event && event->kind == PacketReader::Kind::packet)
                return std::string(event->payload);
        }
        return "nothing";
    }
    std::string stop(unsigned vcpu, const DebugStop& why) {
        sent.clear();
        vm.client->on_stopped({vcpu, why});
        return payload();
    }
    bool did(const std::string& what) const {
        return std::find(vm.log.begin(), vm.log.end(), what) != vm.log.end();
    }

    FakeVm vm;
    std::string sent;
    GdbServer server{vm, *this};
};

using Motions = std::vector<DebugMotion>;
constexpr DebugMotion kRun = DebugMotion::run;
constexpr DebugMotion kStep = DebugMotion::step;
constexpr DebugMotion kStay = DebugMotion::stay;

TEST_F(GdbServerTest, AConnectionStopsTheGuestAndItsEndLetsItGoOn) {
    EXPECT_TRUE(did("attach"));
    EXPECT_EQ(ask("?"), "T02thread:1;");

    server.disconnected();

    EXPECT_TRUE(did("detach"));
}

TEST_F(GdbServerTest, AfterADetachNothingIsAnswered) {
    EXPECT_EQ(ask("D"), "OK");
    EXPECT_TRUE(did("detach"));
    EXPECT_EQ(ask("?"), "nothing");

    server.disconnected();

    EXPECT_EQ(std::count(vm.log.begin(), vm.log.end(), "detach"), 1);
}

TEST_F(GdbServerTest, AReconnectionBeginsAnew) {
    server.disconnected();
    server.connected();

    ask("?");

    EXPECT_EQ(sent, "+" + frame("T02thread:1;"));
}

TEST_F(GdbServerTest, WhatWasNotUnderstoodIsRepeated) {
    server.disconnected();
    server.connected();
    ask("?");
    sent.clear();

    server.received("-");
    EXPECT_EQ(sent, frame("T02thread:1;"));
    sent.clear();
    server.received("$?#00");
    EXPECT_EQ(sent, "-");
}

TEST_F(GdbServerTest, TheDescriptionComesInParts) {
    std::string whole;
    std::string part = "m";
    while (part.front() == 'm') {
        part = ask("qXfer:features:read:target.xml:" + std::string(whole.size() < 0x10 ? "0" : "") +
                   [&] {
                       char text[20];
                       std::snprintf(text, sizeof(text), "%zx", whole.size());
                       return std::string(text);
                   }() +
                   ",100");
        ASSERT_NE(part, "nothing");
        whole += unescape(part.substr(1));
    }

    EXPECT_TRUE(whole.starts_with("<?xml"));
    EXPECT_TRUE(whole.ends_with("</target>\n"));
    EXPECT_EQ(ask("qXfer:features:read:target.xml:ffffffff,100"), "l");
    EXPECT_EQ(ask("qXfer:features:read:other.xml:0,100"), "E00");
}

TEST_F(GdbServerTest, RegistersOfTheChosenThread) {
    vm.states[1].gpr[x86::kRax] = 0x1234;

    EXPECT_EQ(ask("p0"), "0000000000000000");
    EXPECT_EQ(ask("Hg2"), "OK");
    EXPECT_EQ(ask("p0"), "3412000000000000");
    EXPECT_EQ(ask("P0=7856000000000000"), "OK");
    EXPECT_EQ(vm.states[1].gpr[x86::kRax], 0x5678U);
    EXPECT_EQ(vm.states[0].gpr[x86::kRax], 0U);
    const std::string all = ask("g");
    EXPECT_EQ(all.size(), 2 * registers_size());
    EXPECT_EQ(ask("G" + all), "OK");
    EXPECT_EQ(ask("Hg3"), "E16");
}

TEST_F(GdbServerTest, RegistersThatAreNot) {
    EXPECT_EQ(ask("pff"), "E16");
    EXPECT_EQ(ask("p"), "E16");
    EXPECT_EQ(ask("P0=00"), "E16");
    EXPECT_EQ(ask("P0"), "E16");
    EXPECT_EQ(ask("G00"), "E16");
}

TEST_F(GdbServerTest, MemoryIsReadAndWritten) {
    EXPECT_EQ(ask("M1000,3:010203"), "OK");
    EXPECT_EQ(ask("X1003,3:}\x03}\x04x"), "OK");
    EXPECT_EQ(ask("m1000,6"), "010203232478");
    EXPECT_EQ(ask("X1000,0:"), "OK");
}

TEST_F(GdbServerTest, MemoryThatIsNot) {
    EXPECT_EQ(ask("m0,4"), "E0e");
    EXPECT_EQ(ask("m1ffe,4"), "0000") << "as much as there is";
    EXPECT_EQ(ask("M1ffe,4:01020304"), "E0e");
    EXPECT_EQ(ask("m1000,ffffffffffffffff"), "E16");
    EXPECT_EQ(ask("m1000"), "E16");
    EXPECT_EQ(ask("M1000,2:010203"), "E16");
    EXPECT_EQ(ask("X1000,2:1"), "E16");
}

TEST_F(GdbServerTest, BreakpointsAndWatchpoints) {
    EXPECT_EQ(ask("Z0,1010,1"), "OK");
    EXPECT_EQ(ask("Z1,1020,1"), "OK");
    EXPECT_EQ(ask("Z2,1030,4"), "OK");
    EXPECT_EQ(ask("Z4,1038,8"), "OK");

    EXPECT_EQ(vm.planted, std::vector<uint64_t>{0x1010});
    EXPECT_EQ(vm.points, (std::vector<DebugPoint>{{DebugAccess::execute, 0x1020, 1},
                                                  {DebugAccess::write, 0x1030, 4},
                                                  {DebugAccess::access, 0x1038, 8}}));
    for (const std::string_view packet : {"z0,1010,1", "z1,1020,1", "z2,1030,4", "z4,1038,8"})
        EXPECT_EQ(ask(packet), "OK");
    EXPECT_TRUE(vm.planted.empty());
    EXPECT_TRUE(vm.points.empty());
}

TEST_F(GdbServerTest, BreakpointsThatCannotBe) {
    EXPECT_EQ(ask("Z0,10,1"), "E0e");
    EXPECT_EQ(ask("Z3,1000,4"), "") << "no processor watches reads alone";
    EXPECT_EQ(ask("Z2,1001,4"), "E16");
    EXPECT_EQ(ask("Z2,1000,3"), "E16");
    EXPECT_EQ(ask("Z2,1000"), "E16");
    for (const std::string_view packet : {"Z1,1,1", "Z1,2,1", "Z1,3,1", "Z1,4,1"})
        EXPECT_EQ(ask(packet), "OK");
    EXPECT_EQ(ask("Z1,5,1"), "E1c");
}

TEST_F(GdbServerTest, EachThreadGoesOnAsItIsTold) {
    EXPECT_EQ(ask("vCont?"), "vCont;c;C;s;S");
    EXPECT_EQ(ask("vCont;s:2;c"), "nothing");
    EXPECT_EQ(vm.motions, (Motions{kRun, kStep}));

    EXPECT_EQ(stop(1, {DebugEvent::step}), "T05thread:2;");
    ask("vCont;S05:1");
    EXPECT_EQ(vm.motions, (Motions{kStep, kStay}));

    stop(0, {DebugEvent::step});
    ask("vCont;c:-1");
    EXPECT_EQ(vm.motions, (Motions{kRun, kRun}));
}

TEST_F(GdbServerTest, ThePacketsOfOldStubs) {
    ask("Hc2");
    ask("s");
    EXPECT_EQ(vm.motions, (Motions{kRun, kStep}));
    stop(1, {DebugEvent::step});
    ask("c");
    EXPECT_EQ(vm.motions, (Motions{kRun, kRun}));
}

TEST_F(GdbServerTest, ActionsThatAreNot) {
    EXPECT_EQ(ask("vCont;x"), "E16");
    EXPECT_EQ(ask("vCont;c:x"), "E16");
    EXPECT_EQ(ask("vCont;;"), "E16");
    EXPECT_FALSE(did("resume"));
}

TEST_F(GdbServerTest, AStopSaysWhy) {
    ask("c");
    EXPECT_EQ(stop(1, {DebugEvent::breakpoint}), "T05thread:2;swbreak:;");
    EXPECT_EQ(ask("?"), "T05thread:2;swbreak:;");
    EXPECT_EQ(ask("qC"), "QC2");
    ask("c");
    EXPECT_EQ(stop(0, {DebugEvent::point, {DebugAccess::execute, 0x10, 1}}),
              "T05thread:1;hwbreak:;");
    ask("c");
    EXPECT_EQ(stop(0, {DebugEvent::point, {DebugAccess::write, 0x10, 4}}), "T05thread:1;watch:10;");
    ask("c");
    EXPECT_EQ(stop(0, {DebugEvent::point, {DebugAccess::access, 0x18, 4}}),
              "T05thread:1;awatch:18;");
}

TEST_F(GdbServerTest, CtrlCStopsWhatRuns) {
    sent.clear();
    server.received("\x03");
    EXPECT_FALSE(did("interrupt")) << "it stands still";

    ask("c");
    server.received("\x03");

    EXPECT_TRUE(did("interrupt"));
    EXPECT_EQ(payload(), "T02thread:1;");
}

TEST_F(GdbServerTest, NothingIsAnsweredWhileTheGuestRuns) {
    ask("c");

    EXPECT_EQ(ask("g"), "nothing");
}

TEST_F(GdbServerTest, Threads) {
    vm.states[1].activity = x86::Activity::halted;

    EXPECT_EQ(ask("qfThreadInfo"), "m1,2");
    EXPECT_EQ(ask("qsThreadInfo"), "l");
    EXPECT_EQ(ask("qThreadExtraInfo,2"), to_hex("CPU 1, halted"));
    EXPECT_EQ(ask("qThreadExtraInfo,3"), "E16");
    EXPECT_EQ(ask("T2"), "OK");
    EXPECT_EQ(ask("T3"), "E16");
    EXPECT_EQ(ask("T0"), "E16");
}

TEST_F(GdbServerTest, MonitorCommands) {
    vm.states[0].rip = 0xABCD;
    const auto text = [&](std::string_view command) {
        const auto bytes = from_hex(ask("qRcmd," + to_hex(command)));
        return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size())
                     : "no text";
    };

    EXPECT_NE(text("help").find("info registers"), std::string::npos);
    EXPECT_NE(text("info registers").find("rip       0xabcd\n"), std::string::npos);
    EXPECT_NE(text("dance").find("no such command"), std::string::npos);
    text("reset");
    text("quit");
    EXPECT_TRUE(did("reset"));
    EXPECT_TRUE(did("end: the debugger ended it"));
}

TEST_F(GdbServerTest, KillEndsTheVm) {
    EXPECT_EQ(ask("k"), "nothing");
    EXPECT_TRUE(did("end: the debugger killed it"));

    server.ended(4);

    EXPECT_EQ(payload(), "W04");
}

TEST_F(GdbServerTest, WhatIsNotKnownIsAnsweredEmpty) {
    for (const std::string_view packet : {"", "vMustReplyEmpty", "qSymbol::", "!", "R00", "Hx1"})
        EXPECT_EQ(ask(packet), "") << packet;
}

}  // namespace
}  // namespace banyan::gdb
