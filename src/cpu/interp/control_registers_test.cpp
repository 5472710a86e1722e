#include "cpu/interp/control_registers.hpp"

#include <gtest/gtest.h>

#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

struct Cr0Case {
    uint64_t value;
    bool allowed;
};

class Cr0Combinations : public testing::TestWithParam<Cr0Case> {};

TEST_P(Cr0Combinations, AreChecked) {
    TestMachine m;
    m.enter_protected();

    EXPECT_EQ(write_cr0(m.cpu(), nullptr, GetParam().value), GetParam().allowed);
    EXPECT_EQ(m.cpu().fault.active, !GetParam().allowed);
}

INSTANTIATE_TEST_SUITE_P(ControlRegisters, Cr0Combinations,
                         testing::Values(Cr0Case{0x11, true}, Cr0Case{0x10, true},
                                         Cr0Case{0x80000000, false},  // PG without PE
                                         Cr0Case{0x20000011, false},  // NW without CD
                                         Cr0Case{0x60000011, true},
                                         Cr0Case{0x100000011, false}));  // high half

TEST(ControlRegisters, ExtensionTypeReadsAsOne) {
    TestMachine m;
    m.enter_protected();

    EXPECT_TRUE(write_cr0(m.cpu(), nullptr, 1));

    EXPECT_EQ(m.cpu().cr0, 0x11U);
}

TEST(ControlRegisters, PagingWithLmeEntersLongMode) {
    TestMachine m;
    m.enter_long();
    TestMachine p;
    p.enter_protected();
    p.cpu().msr.efer |= x86::kEferLme;
    p.cpu().cr4 |= x86::kCr4Pae;

    EXPECT_TRUE(write_cr0(p.cpu(), nullptr, p.cpu().cr0 | x86::kCr0Pg));

    EXPECT_TRUE(p.cpu().long_mode());
    EXPECT_FALSE(p.cpu().code64());
    EXPECT_FALSE(write_cr0(m.cpu(), nullptr, 0x11));  // 64-bit code cannot leave
}

TEST(ControlRegisters, LongModeNeedsPae) {
    TestMachine m;
    m.enter_protected();
    m.cpu().msr.efer |= x86::kEferLme;

    EXPECT_FALSE(write_cr0(m.cpu(), nullptr, m.cpu().cr0 | x86::kCr0Pg));
    EXPECT_FALSE(m.cpu().long_mode());
}

TEST(ControlRegisters, PaeLoadsDirectoryPointersAndChecksThem) {
    TestMachine m;
    m.enter_protected();
    m.cpu().cr4 |= x86::kCr4Pae;
    m.cpu().cr3 = 0x8000;
    m.put<uint64_t>(0x8000, 0x9001);
    m.put<uint64_t>(0x8008, 0x9003);  // a reserved bit

    EXPECT_FALSE(write_cr0(m.cpu(), nullptr, m.cpu().cr0 | x86::kCr0Pg));
    m.put<uint64_t>(0x8008, 0);
    EXPECT_TRUE(write_cr0(m.cpu(), nullptr, m.cpu().cr0 | x86::kCr0Pg));

    EXPECT_EQ(m.cpu().pdpte[0], 0x9001U);
}

TEST(ControlRegisters, Cr4RefusesUnknownBitsAndLossOfPae) {
    TestMachine m;
    m.enter_long();

    EXPECT_FALSE(write_cr4(m.cpu(), nullptr, m.cpu().cr4 | uint64_t{1} << 40));
    EXPECT_FALSE(write_cr4(m.cpu(), nullptr, m.cpu().cr4 | x86::kCr4La57));
    EXPECT_FALSE(write_cr4(m.cpu(), nullptr, m.cpu().cr4 & ~uint64_t{x86::kCr4Pae}));
    EXPECT_TRUE(write_cr4(m.cpu(), nullptr, m.cpu().cr4 | x86::kCr4Smep));
}

TEST(ControlRegisters, PcideNeedsPcidZero) {
    TestMachine m;
    m.enter_long();
    m.cpu().cr3 |= 1;

    EXPECT_FALSE(write_cr4(m.cpu(), nullptr, m.cpu().cr4 | x86::kCr4Pcide));
    m.cpu().cr3 &= ~uint64_t{1};
    EXPECT_TRUE(write_cr4(m.cpu(), nullptr, m.cpu().cr4 | x86::kCr4Pcide));
    EXPECT_FALSE(write_cr0(m.cpu(), nullptr, m.cpu().cr0 & ~uint64_t{x86::kCr0Pg}));
}

TEST(ControlRegisters, Cr3NoFlushBitIsNotStored) {
    TestMachine m;
    m.enter_long();
    const uint64_t value = M::kPageTables | uint64_t{1} << 63;

    EXPECT_FALSE(write_cr3(m.cpu(), nullptr, value));
    m.cpu().cr4 |= x86::kCr4Pcide;
    EXPECT_TRUE(write_cr3(m.cpu(), nullptr, value));

    EXPECT_EQ(m.cpu().cr3, M::kPageTables);
}

TEST(ControlRegisters, Cr3RefusesAddressesBeyondTheBus) {
    TestMachine m;
    m.enter_long();

    EXPECT_FALSE(write_cr3(m.cpu(), nullptr, uint64_t{1} << 40));
}

TEST(ControlRegisters, Cr8ReachesApicAndIsFourBits) {
    TestMachine m;
    m.enter_long();
    m.code({0xB8, 9,    0,    0,    0, 0x44, 0x0F, 0x22, 0xC0,  // mov eax, 9; mov cr8, rax
            0x44, 0x0F, 0x20, 0xC3,                             // mov rbx, cr8
            0xB8, 16,   0,    0,    0, 0x44, 0x0F, 0x22, 0xC0});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 9U);
    EXPECT_EQ(m.interrupts.read_cr8(), 9);
}

TEST(ControlRegisters, UsersHaveNoAccess) {
    TestMachine m;
    m.enter_long(3);
    m.code({0x0F, 0x20, 0xC0});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST(ControlRegisters, LmswSetsButDoesNotClearPe) {
    TestMachine m;
    m.enter_protected();
    m.code({0x66, 0xB8, 8, 0, 0x0F, 0x01, 0xF0,  // mov ax, TS; lmsw ax
            0x0F, 0x01, 0xE3, 0xF4});            // smsw ebx

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRbx] & 0xF, 9U);
}

TEST(DebugRegisters, AliasesVanishWithDe) {
    TestMachine alias;
    alias.enter_protected();
    alias.code({0x0F, 0x21, 0xE8, 0xF4});  // mov eax, dr5
    TestMachine none;
    none.enter_protected();
    none.cpu().cr4 |= x86::kCr4De;
    none.code({0x0F, 0x21, 0xE8, 0xF4});

    alias.run();
    none.run();

    EXPECT_EQ(alias.cpu().gpr[x86::kRax], 0x400U);
    EXPECT_EQ(none.handler(), kUd);
}

TEST(DebugRegisters, FixedBitsStay) {
    TestMachine m;
    m.enter_protected();
    m.code({0x31, 0xC0,        // xor eax, eax
            0x0F, 0x23, 0xF0,  // mov dr6, eax
            0x0F, 0x23, 0xF8,  // mov dr7, eax
            0xF4});

    m.run();

    EXPECT_EQ(m.cpu().dr6, 0xFFFF0FF0U);
    EXPECT_EQ(m.cpu().dr7, 0x400U);
}

TEST(DebugRegisters, GeneralDetectionFaultsOnceAndClears) {
    TestMachine m;
    m.enter_protected();
    m.cpu().dr7 |= uint64_t{1} << 13;
    m.code({0x0F, 0x23, 0xC0});  // mov dr0, eax

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode);
    EXPECT_EQ(m.cpu().dr6 >> 13 & 1, 1U);
    EXPECT_EQ(m.cpu().dr7 >> 13 & 1, 0U);
}

TEST(DebugRegisters, HighHalfOfDr7MustBeZero) {
    TestMachine m;
    m.enter_long();
    m.code({0x48, 0xC1, 0xE0, 32,    // shl rax, 32
            0x48, 0x83, 0xC8, 0xFF,  // or rax, -1
            0x0F, 0x23, 0xF8});      // mov dr7, rax

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST(Xcr0, ComponentsDependOnEachOther) {
    TestMachine m;
    m.enter_long();
    m.cpu().cr4 |= x86::kCr4OsXsave;
    m.code({0xB8, 4, 0, 0, 0, 0x31, 0xD2, 0x31, 0xC9,  // eax = AVX alone, edx = ecx = 0
            0x0F, 0x01, 0xD1});                        // xsetbv

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST(Xcr0, NeedsOsXsave) {
    TestMachine m;
    m.enter_long();
    m.code({0x0F, 0x01, 0xD0});  // xgetbv

    m.run();

    EXPECT_EQ(m.handler(), kUd);
}

TEST(Invpcid, ChecksTypeAndDescriptor) {
    TestMachine bad_type;
    bad_type.enter_long();
    bad_type.cpu().gpr[x86::kRax] = 4;
    bad_type.code({0x66, 0x0F, 0x38, 0x82, 0x04, 0x25, 0, 0, 2, 0, 0xF4});
    TestMachine bad_pcid;
    bad_pcid.enter_long();
    bad_pcid.cpu().gpr[x86::kRax] = 1;
    bad_pcid.put<uint64_t>(M::kData, 1);  // without PCIDE
    bad_pcid.code({0x66, 0x0F, 0x38, 0x82, 0x04, 0x25, 0, 0, 2, 0, 0xF4});
    TestMachine good;
    good.enter_long();
    good.cpu().gpr[x86::kRax] = 2;
    good.code({0x66, 0x0F, 0x38, 0x82, 0x04, 0x25, 0, 0, 2, 0, 0xF4});

    bad_type.run();
    bad_pcid.run();
    good.run();

    EXPECT_EQ(bad_type.handler(), kGp);
    EXPECT_EQ(bad_pcid.handler(), kGp);
    EXPECT_EQ(good.handler(), std::nullopt);
}

}  // namespace
}  // namespace banyan::interp
