#include "cpu/interp/segments.hpp"

#include <gtest/gtest.h>

#include "cpu/interp/mode.hpp"
#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

TEST(Segments, RealModeLoadKeepsLimitOfUnrealMode) {
    TestMachine m;
    m.enter_real();
    m.cpu().seg[x86::kDs].limit = 0xFFFFFFFF;
    m.code({0xB8, 0x34, 0x12,  // mov ax, 0x1234
            0x8E, 0xD8,        // mov ds, ax
            0xF4});

    m.run();

    EXPECT_EQ(m.cpu().seg[x86::kDs].selector, 0x1234);
    EXPECT_EQ(m.cpu().seg[x86::kDs].base, 0x12340U);
    EXPECT_EQ(m.cpu().seg[x86::kDs].limit, 0xFFFFFFFFU);
}

TEST(Segments, ProtectedLoadReadsDescriptorAndMarksIt) {
    TestMachine m;
    m.enter_protected();
    m.put<uint64_t>(TestMachine::kGdt + TestMachine::kFree, 0x1240923456780FFF);  // not accessed
    m.code({0x66, 0xB8, TestMachine::kFree, 0,                                    // mov ax, kFree
            0x8E, 0xC0,                                                           // mov es, ax
            0xF4});

    m.run();

    EXPECT_EQ(m.cpu().seg[x86::kEs].base, 0x12345678U);
    EXPECT_EQ(m.cpu().seg[x86::kEs].limit, 0x0FFFU);
    EXPECT_TRUE(m.cpu().seg[x86::kEs].attributes.get<x86::Attributes::Accessed>());
    EXPECT_EQ(m.get<uint8_t>(TestMachine::kGdt + TestMachine::kFree + 5), 0x93);
}

// Loads `selector` into DS by MOV at CPL 0 and gives what was raised, with its error code.
struct Outcome {
    std::optional<unsigned> vector;
    uint32_t error;
};
Outcome load(TestMachine& m, uint16_t selector, int modrm = 0xD8) {
    m.code({0x66, 0xB8, selector & 0xFF, selector >> 8, 0x8E, modrm, 0xF4});
    m.run();
    const std::optional<unsigned> vector = m.handler();
    return {vector, vector ? m.stack<uint32_t>(0) : 0};
}
constexpr int kModrmSs = 0xD0;

TEST(Segments, SelectorBeyondTableRaisesGpWithSelector) {
    TestMachine m;
    m.enter_protected();

    const Outcome outcome = load(m, 0x1003);

    EXPECT_EQ(outcome.vector, kGp);
    EXPECT_EQ(outcome.error, 0x1000U);
}

TEST(Segments, NotPresentRaisesNp) {
    TestMachine m;
    m.enter_protected();
    m.put<uint64_t>(TestMachine::kGdt + TestMachine::kFree, 0x00CF13000000FFFF);

    const Outcome outcome = load(m, TestMachine::kFree);

    EXPECT_EQ(outcome.vector, kNp);
    EXPECT_EQ(outcome.error, TestMachine::kFree);
}

TEST(Segments, ExecuteOnlyCodeIsNoDataSegment) {
    TestMachine m;
    m.enter_protected();
    m.put<uint64_t>(TestMachine::kGdt + TestMachine::kFree, 0x00CF99000000FFFF);

    EXPECT_EQ(load(m, TestMachine::kFree).vector, kGp);
}

TEST(Segments, NullIsAcceptedForDataAndRefusedForStack) {
    TestMachine data;
    data.enter_protected();
    TestMachine stack;
    stack.enter_protected();

    EXPECT_EQ(load(data, 3).vector, std::nullopt);
    EXPECT_EQ(load(stack, 0, kModrmSs).vector, kGp);

    EXPECT_FALSE(data.cpu().seg[x86::kDs].usable());
    EXPECT_EQ(data.cpu().seg[x86::kDs].selector, 3);
    EXPECT_EQ(stack.stack<uint32_t>(0), 0U);
}

TEST(Segments, StackNotPresentRaisesSs) {
    TestMachine m;
    m.enter_protected();
    m.put<uint64_t>(TestMachine::kGdt + TestMachine::kFree, 0x00CF13000000FFFF);

    const Outcome outcome = load(m, TestMachine::kFree, kModrmSs);

    EXPECT_EQ(outcome.vector, kSsFault);
    EXPECT_EQ(outcome.error, TestMachine::kFree);
}

TEST(Segments, UserMayNotLoadKernelData) {
    TestMachine m;
    m.enter_protected(3);

    const Outcome outcome = load(m, TestMachine::kKernelData | 3);

    EXPECT_EQ(outcome.vector, kGp);
    EXPECT_EQ(outcome.error, TestMachine::kKernelData);
}

TEST(Segments, LongModeKernelMayHaveNullStack) {
    TestMachine m;
    m.enter_long();
    m.code({0x31, 0xC0,  // xor eax, eax
            0x8E, 0xD0,  // mov ss, eax
            0xF4});

    m.run();

    EXPECT_EQ(m.handler(), std::nullopt);
    EXPECT_EQ(m.cpu().seg[x86::kSs].selector, 0);
}

// An unreal-mode load of SS from a device that interrupts while it is read.
TEST(Shadow, InterruptWaitsForInstructionAfterMovSs) {
    TestMachine m;
    m.enter_real();
    m.cpu().seg[x86::kDs].limit = 0xFFFFFFFF;
    m.cpu().seg[x86::kDs].base = 0x200000;  // beyond memory
    m.cpu().system_flags |= x86::kIf;
    m.cpu().mode_changed();
    m.io.mmio_value = 0x3000;
    m.io.on_mmio_read = [&] {
        m.interrupts.request(0x40);
        m.cpu().post(kEventInterrupt);
    };
    m.code({0x8E, 0x16, 0, 0,  // mov ss, [0]
            0xBC, 0x00, 0x04,  // mov sp, 0x400
            0x43, 0xF4});      // inc bx

    m.run();

    EXPECT_EQ(m.handler(), 0x40U);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 0U);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], 0x400U - 6);
    EXPECT_EQ(m.stack<uint16_t>(0), 7);
}

TEST(Shadow, OfStiCoversOneInstruction) {
    TestMachine m;
    m.enter_protected();
    m.interrupts.request(0x40);
    m.code({0xFB, 0x43, 0x43, 0xF4});  // sti; inc ebx; inc ebx

    m.run();

    EXPECT_EQ(m.handler(), 0x40U);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 1U);
}

TEST(Shadow, IsNotCastByStiWithInterruptsOn) {
    TestMachine m;
    m.enter_protected();
    m.cpu().system_flags |= x86::kIf;
    m.cpu().mode_changed();
    m.code({0xFB, 0x43, 0xF4});

    m.run();

    EXPECT_FALSE(m.cpu().shadow_next);
}

// An endless run of MOV SS, where IP wraps, must not keep events out.
TEST(Shadow, OfManyLoadsInSequenceLetsEventsIn) {
    TestMachine m;
    m.enter_real();
    for (uint64_t i = 0; i < 0x10000; i += 2)
        m.put<uint16_t>(M::kCode + i, 0xD08E);  // mov ss, ax
    m.cpu().system_flags |= x86::kIf;
    m.cpu().mode_changed();
    m.interrupts.request(0x40);

    m.run();

    EXPECT_EQ(m.handler(), 0x40U);
}

TEST(Shadow, OfTheSavedStateHolds) {
    TestMachine m;
    m.enter_protected();
    m.cpu().system_flags |= x86::kIf;
    m.cpu().shadow_next = true;
    m.cpu().mode_changed();
    m.interrupts.request(0x40);
    m.code({0x43, 0x43, 0xF4});

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 1U);
}

TEST(Segments, PopIntoDataSegmentMovesStackPointer) {
    TestMachine m;
    m.enter_protected();
    m.code({0x6A, TestMachine::kUserData,  // push 0x23
            0x1F,                          // pop ds
            0xF4});

    m.run();

    EXPECT_EQ(m.cpu().seg[x86::kDs].selector, TestMachine::kUserData);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], TestMachine::kStack);
}

TEST(Segments, FaultingPopLeavesStackPointer) {
    TestMachine m;
    m.enter_protected();
    m.code({0x68, 0, 0x10, 0, 0,  // push 0x1000
            0x1F, 0xF4});         // pop ds

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(1), TestMachine::kCode + 5);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], TestMachine::kStack - 4 - 16);
}

TEST(Segments, LdsLoadsOffsetAndSelector) {
    TestMachine m;
    m.enter_protected();
    m.put<uint32_t>(TestMachine::kData, 0xAABBCCDD);
    m.put<uint16_t>(TestMachine::kData + 4, TestMachine::kUserData);
    m.code({0xC5, 0x1D, 0, 0, 2, 0, 0xF4});  // lds ebx, [kData]

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 0xAABBCCDDU);
    EXPECT_EQ(m.cpu().seg[x86::kDs].selector, TestMachine::kUserData);
}

TEST(Segments, LarAndLslAnswerOrClearZf) {
    TestMachine m;
    m.enter_protected();
    m.code({0xB8, TestMachine::kKernelData,
            0,    0,
            0,  // mov eax, 0x10
            0x0F, 0x02,
            0xD8,  // lar ebx, eax
            0x0F, 0x03,
            0xC8,  // lsl ecx, eax
            0x0F, 0x94,
            0xC2,  // setz dl
            0xB8, 0,
            0x10, 0,
            0,  // mov eax, 0x1000
            0xBE, 7,
            0,    0,
            0,  // mov esi, 7
            0x0F, 0x02,
            0xF0,  // lar esi, eax
            0x0F, 0x94,
            0xC6,  // setz dh
            0xF4});

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 0x00CF9300U);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 0xFFFFFFFFU);
    EXPECT_EQ(m.cpu().gpr[x86::kRdx] & 0xFFFF, 1U);
    EXPECT_EQ(m.cpu().gpr[x86::kRsi], 7U);
}

TEST(Segments, VerwRefusesCodeAndVerrAcceptsIt) {
    TestMachine m;
    m.enter_protected();
    m.code({0xB8, TestMachine::kKernelCode, 0, 0, 0, 0x0F, 0x00, 0xE0,  // verr ax
            0x0F, 0x94, 0xC3,                                           // setz bl
            0x0F, 0x00, 0xE8,                                           // verw ax
            0x0F, 0x94, 0xC7,                                           // setz bh
            0xF4});

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRbx] & 0xFFFF, 1U);
}

TEST(Segments, ArplRaisesRpl) {
    TestMachine m;
    m.enter_protected();
    m.code({0x66, 0xB8, 0x10, 0,  // mov ax, 0x10
            0x66, 0xBB, 0x03, 0,  // mov bx, 3
            0x63, 0xD8,           // arpl ax, bx
            0x0F, 0x94, 0xC1,     // setz cl
            0xF4});

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRax] & 0xFFFF, 0x13U);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx] & 0xFF, 1U);
}

TEST(Segments, SelectorInstructionsDoNotExistInRealMode) {
    TestMachine m;
    m.enter_real();
    m.code({0x0F, 0x00, 0xE0, 0xF4});  // verr ax

    m.run();

    EXPECT_EQ(m.handler(), kUd);
}

TEST(Segments, LtrMarksBusyAndRefusesBusy) {
    TestMachine m;
    m.enter_protected();
    m.put<uint64_t>(TestMachine::kGdt + TestMachine::kFree,
                    0x0000890000000067 | uint64_t{0x6000} << 16);
    m.code({0x66, 0xB8, TestMachine::kFree, 0, 0x0F, 0x00, 0xD8,  // ltr ax
            0x0F, 0x00, 0xD8});                                   // ltr ax

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), TestMachine::kFree);
    EXPECT_EQ(m.cpu().tr.base, 0x6000U);
    EXPECT_EQ(m.get<uint8_t>(TestMachine::kGdt + TestMachine::kFree + 5), 0x8B);
}

TEST(Segments, UmipHidesTablesFromUsers) {
    TestMachine m;
    m.enter_long(3);
    m.cpu().cr4 |= x86::kCr4Umip;
    m.code({0x0F, 0x01, 0x04, 0x25, 0, 0, 2, 0, 0xF4});  // sgdt [kData]

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST(Segments, SgdtStoresTenBytesIn64BitMode) {
    TestMachine m;
    m.enter_long();
    m.code({0x0F, 0x01, 0x04, 0x25, 0, 0, 2, 0, 0xF4});

    m.run();

    EXPECT_EQ(m.get<uint16_t>(TestMachine::kData), TestMachine::kGdtLimit);
    EXPECT_EQ(m.get<uint64_t>(TestMachine::kData + 2), TestMachine::kGdt);
}

TEST(Segments, LgdtTakes24BitsWithWordOperands) {
    TestMachine m;
    m.enter_protected();
    m.put<uint16_t>(TestMachine::kData, 0x7F);
    m.put<uint32_t>(TestMachine::kData + 2, 0xAB001000);
    m.code({0x66, 0x0F, 0x01, 0x15, 0, 0, 2, 0, 0xF4});  // lgdt (16-bit operand) [kData]

    m.run();

    EXPECT_EQ(m.cpu().gdtr.base, 0x001000U);
    EXPECT_EQ(m.cpu().gdtr.limit, 0x7F);
}

TEST(Segments, SwapgsExchangesBases) {
    TestMachine m;
    m.enter_long();
    m.cpu().seg[x86::kGs].base = 0x1111;
    m.cpu().msr.kernel_gs_base = TestMachine::kData;
    m.cpu().mode_changed();
    m.put<uint64_t>(TestMachine::kData, 77);
    m.code({0x0F, 0x01, 0xF8,                                  // swapgs
            0x65, 0x48, 0x8B, 0x04, 0x25, 0, 0, 0, 0, 0xF4});  // mov rax, gs:[0]

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRax], 77U);
    EXPECT_EQ(m.cpu().msr.kernel_gs_base, 0x1111U);
}

TEST(Segments, WriteOfNonCanonicalBaseFaults) {
    TestMachine m;
    m.enter_long();
    m.cpu().cr4 |= x86::kCr4FsGsBase;
    m.cpu().gpr[x86::kRax] = 0x0000800000000000;
    m.code({0xF3, 0x48, 0x0F, 0xAE, 0xD0, 0xF4});  // wrfsbase rax

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST(Segments, BaseInstructionsNeedCr4) {
    TestMachine m;
    m.enter_long();
    m.code({0xF3, 0x48, 0x0F, 0xAE, 0xC0, 0xF4});  // rdfsbase rax

    m.run();

    EXPECT_EQ(m.handler(), kUd);
}

// What mode_changed() derives.
struct Derived {
    explicit Derived(const Cpu& cpu)
        : mode(cpu.mode),
          base(cpu.base),
          stack_mask(cpu.stack_mask),
          tlb(cpu.tlb),
          context(cpu.context) {}
    friend bool operator==(const Derived&, const Derived&) = default;

    Mode mode;
    std::array<uint64_t, x86::kSegmentCount> base;
    uint64_t stack_mask;
    const Tlb* tlb;
    uint64_t context;
};

class SetSegment : public testing::Test {
protected:
    // Each register, from each value to each.
    void expect_as_mode_changed() {
        for (const x86::SegmentRegister& now : kValues) {
            for (const x86::SegmentRegister& next : kValues) {
                for (unsigned i = 0; i < x86::kSegmentCount; ++i)
                    expect_as_mode_changed(static_cast<x86::Segment>(i), now, next);
            }
        }
    }

    M m;

private:
    void expect_as_mode_changed(x86::Segment segment, const x86::SegmentRegister& now,
                                const x86::SegmentRegister& next) {
        Cpu& cpu = m.cpu();
        const x86::SegmentRegister original = cpu.seg[segment];
        cpu.seg[segment] = now;
        cpu.mode_changed();

        set_segment(cpu, segment, next);

        const Derived found(cpu);
        cpu.mode_changed();
        EXPECT_EQ(found, Derived(cpu)) << segment << ": " << std::hex << now.attributes.raw
                                       << " becomes " << next.attributes.raw;
        cpu.seg[segment] = original;
        cpu.mode_changed();
    }

    // Flat code of 64, 32 and 16 bits, and with a base or a limit; flat data of 32 and 16 bits,
    // read-only, expanding down, with a base, with a limit; nothing.
    static constexpr x86::SegmentRegister kValues[] = {
        {8, {0xA09B}, 0xFFFFFFFF, 0},    {8, {0xC09B}, 0xFFFFFFFF, 0},
        {8, {0x809B}, 0xFFFFFFFF, 0},    {8, {0xC09B}, 0xFFFFFFFF, 0x1000},
        {8, {0x009B}, 0xFFFF, 0x1000},   {16, {0xC093}, 0xFFFFFFFF, 0},
        {16, {0x8093}, 0xFFFFFFFF, 0},   {16, {0xC091}, 0xFFFFFFFF, 0},
        {16, {0xC097}, 0xFFFFFFFF, 0},   {16, {0xC093}, 0xFFFFFFFF, 0x2000},
        {16, {0x0093}, 0xFFFF, 0x20000}, {0, {}, 0, 0}};
};

TEST_F(SetSegment, DerivesInRealModeWhatModeChangedDoes) {
    m.enter_real();
    expect_as_mode_changed();
}

TEST_F(SetSegment, DerivesInProtectedModeWhatModeChangedDoes) {
    m.enter_protected();
    expect_as_mode_changed();
}

TEST_F(SetSegment, DerivesInLongModeWhatModeChangedDoes) {
    m.enter_long();
    expect_as_mode_changed();
}

}  // namespace
}  // namespace banyan::interp
