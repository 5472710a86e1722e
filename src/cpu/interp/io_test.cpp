#include <gtest/gtest.h>

#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

TEST(Ports, WidthsAndNumbers) {
    TestMachine m;
    m.enter_protected();
    m.code({0xB8, 0x44, 0x33, 0x22, 0x11,  // mov eax, 0x11223344
            0x66, 0xBA, 0xF8, 0x03,        // mov dx, 0x3f8
            0xEE, 0x66, 0xEF, 0xEF,        // out dx, al; out dx, ax; out dx, eax
            0xE6, 0x80, 0xF4});            // out 0x80, al

    m.run();

    const std::vector<RecordingIo::Write> expected = {
        {0x3F8, 1, 0x44}, {0x3F8, 2, 0x3344}, {0x3F8, 4, 0x11223344}, {0x80, 1, 0x44}};
    EXPECT_EQ(m.io.writes(), expected);
}

TEST(Ports, ByteInputKeepsRestOfRax) {
    TestMachine m;
    m.enter_long();
    m.cpu().gpr[x86::kRax] = 0x1111222233334444;
    m.code({0xE4, 0x60, 0xF4});

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRax], 0x1111222233334460U);
}

TEST(Ports, DwordInputClearsHighHalf) {
    TestMachine m;
    m.enter_long();
    m.cpu().gpr[x86::kRax] = ~uint64_t{0};
    m.code({0xE5, 0x60, 0xF4});

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRax], 0x60U);
}

// The TSS with a bitmap behind it that allows port 0x80 and nothing else.
void allow_port_80(TestMachine& m) {
    m.put<uint16_t>(M::kTss + 0x66, 0x68);
    m.cpu().tr.limit = 0x68 + 0x20;
    for (uint64_t i = 0; i < 0x22; ++i)
        m.put<uint8_t>(M::kTss + 0x68 + i, 0xFF);
    m.put<uint8_t>(M::kTss + 0x68 + 0x10, 0xFE);
}

TEST(Ports, BitmapAllowsUser) {
    TestMachine m;
    m.enter_protected(3);
    allow_port_80(m);
    m.code({0xE6, 0x80, 0xE6, 0x81});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(1), M::kCode + 2);
    EXPECT_EQ(m.io.writes().size(), 1U);
}

TEST(Ports, WideAccessNeedsAllBits) {
    TestMachine m;
    m.enter_protected(3);
    allow_port_80(m);
    m.code({0x66, 0xE7, 0x80});  // out 0x80, ax

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_TRUE(m.io.writes().empty());
}

TEST(Ports, BitmapBeyondLimitRefuses) {
    TestMachine m;
    m.enter_protected(3);
    allow_port_80(m);
    m.cpu().tr.limit = 0x68 + 0x10;  // the second byte of the pair is outside
    m.code({0xE6, 0x80});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST(Ports, IoplAllowsUserWithoutBitmap) {
    TestMachine m;
    m.enter_protected(3);
    m.cpu().system_flags |= x86::kIopl;
    m.code({0xE6, 0x80, 0xF4});

    m.run();

    EXPECT_EQ(m.io.writes().size(), 1U);
}

TEST(StringPorts, RepOutsWritesAllAndMovesIndex) {
    TestMachine m;
    m.enter_protected();
    for (uint32_t i = 0; i < 100; ++i)
        m.put<uint16_t>(M::kData + i * 2, static_cast<uint16_t>(i));
    m.cpu().gpr[x86::kRsi] = M::kData;
    m.cpu().gpr[x86::kRcx] = 100;
    m.cpu().gpr[x86::kRdx] = 0x1F0;
    m.code({0x66, 0xF3, 0x6F, 0xF4});  // rep outsw

    m.run();

    ASSERT_EQ(m.io.writes().size(), 100U);
    EXPECT_EQ(m.io.writes()[99], (RecordingIo::Write{0x1F0, 2, 99}));
    EXPECT_EQ(m.cpu().gpr[x86::kRsi], M::kData + 200);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 0U);
}

TEST(StringPorts, InsRunsDownwards) {
    TestMachine m;
    m.enter_protected();
    m.cpu().gpr[x86::kRdi] = M::kData + 1;
    m.cpu().gpr[x86::kRcx] = 2;
    m.cpu().gpr[x86::kRdx] = 0x40;
    m.code({0xFD, 0xF3, 0x6C, 0xF4});  // std; rep insb

    m.run();

    EXPECT_EQ(m.get<uint16_t>(M::kData), 0x4041);
    EXPECT_EQ(m.cpu().gpr[x86::kRdi], M::kData - 1);
}

TEST(StringPorts, FaultLeavesPortUnreadAndRegistersAtTheElement) {
    TestMachine m;
    m.enter_long();
    m.cpu().gpr[x86::kRdi] = 0x1FFFFF;  // the last mapped byte
    m.cpu().gpr[x86::kRcx] = 5;
    m.cpu().gpr[x86::kRdx] = 0x40;
    m.code({0xF3, 0x6C});

    m.run();

    EXPECT_EQ(m.handler(), static_cast<unsigned>(x86::Vector::pf));
    EXPECT_EQ(m.cpu().cr2, 0x200000U);
    EXPECT_EQ(m.io.reads(), 1U);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 4U);
    EXPECT_EQ(m.cpu().gpr[x86::kRdi], 0x200000U);
    EXPECT_EQ(m.stack<uint64_t>(1), M::kCode);
}

TEST(StringPorts, InterruptIsTakenBetweenIterations) {
    TestMachine m;
    m.enter_protected();
    m.cpu().gpr[x86::kRsi] = M::kData;
    m.cpu().gpr[x86::kRcx] = 1000;
    m.cpu().gpr[x86::kRdx] = 0x1F0;
    m.interrupts.request(0x40);
    m.code({0xFB, 0xF3, 0x6E, 0xF4});  // sti; rep outsb

    m.run();

    EXPECT_EQ(m.handler(), 0x40U);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 1);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx] + m.io.writes().size(), 1000U);
    EXPECT_LT(m.io.writes().size(), 1000U);
}

}  // namespace
}  // namespace banyan::interp
