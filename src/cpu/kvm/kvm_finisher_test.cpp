#include "cpu/kvm/kvm_finisher.hpp"

#include <array>
#include <gtest/gtest.h>

#include "arch/x86/register_state.hpp"
#include "cpu/kvm/kvm_testing.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan::kvm {
namespace {

constexpr uint64_t kCode = 0x1000;
constexpr uint8_t kIncAx = 0x40;
constexpr uint8_t kHlt = 0xF4;
constexpr uint8_t kInAlDx = 0xEC;
constexpr uint8_t kUndefined[] = {0x0F, 0x0B};

// A vCPU in real mode at kCode.
class KvmFinisherTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(memory.add_region({0}, ram.bytes, MemoryKind::ram));
        settings.config = {.memory = &memory, .clock = &clock, .cpu_count = 1};
        settings.cpu_model = "x86-64";
        wiring.io = &io;
        state.segments[x86::kCs].base = 0;
        state.segments[x86::kCs].selector = 0;
        state.rip = kCode;
        state.gpr[x86::kRsp] = 0x2000;
    }
    void put(std::initializer_list<uint8_t> code) {
        uint64_t at = kCode;
        for (const uint8_t byte : code)
            ASSERT_TRUE(memory.write_object(Gpa{at++}, byte));
    }
    std::optional<Exit> finish() {
        if (finisher == nullptr) finisher = std::make_unique<KvmFinisher>(handle, wiring, settings);
        return finisher->finish(state);
    }

    Pages ram;
    GuestMemory memory;
    FakeClock clock;
    FakeHandle handle;
    RecordingIo io;
    VcpuWiring wiring;
    KvmFinisher::Settings settings;
    x86::RegisterState state = x86::power_on_state(true, 0);
    std::unique_ptr<KvmFinisher> finisher;
};

TEST_F(KvmFinisherTest, OneInstructionIsExecutedAndNoMore) {
    put({kIncAx, kIncAx, kIncAx});

    EXPECT_FALSE(finish());
    EXPECT_EQ(state.rip, kCode + 1);
    EXPECT_EQ(state.gpr[x86::kRax], 1U);
    EXPECT_FALSE(state.events.interrupt_shadow);

    EXPECT_FALSE(finish());
    EXPECT_EQ(state.rip, kCode + 2);
}

TEST_F(KvmFinisherTest, ItSeesCodeThatOtherVcpusHaveChanged) {
    put({kIncAx});
    EXPECT_FALSE(finish());

    state.rip = kCode;
    ram.bytes[kCode] = std::byte{kHlt};  // as by a vCPU on the processor: nobody is told

    EXPECT_FALSE(finish());
    EXPECT_EQ(state.activity, x86::Activity::halted);
}

TEST_F(KvmFinisherTest, ItReachesTheMachine) {
    state.gpr[x86::kRdx] = 0x60;
    put({kInAlDx});

    EXPECT_FALSE(finish());

    EXPECT_EQ(io.reads, (std::vector<Access>{{0x60, 1, 0x11}}));
    EXPECT_EQ(state.gpr[x86::kRax] & 0xFF, 0x11U);
}

TEST_F(KvmFinisherTest, WhatItRaisesIsDelivered) {
    constexpr std::array<uint16_t, 2> kHandler{0x3000, 0};
    ASSERT_TRUE(memory.write_object(Gpa{6 * sizeof(kHandler)}, kHandler));  // #UD
    put({kUndefined[0], kUndefined[1]});

    EXPECT_FALSE(finish());

    EXPECT_EQ(state.rip, 0x3000U);
}

TEST_F(KvmFinisherTest, AModelThatCannotBeMadeIsAnInternalError) {
    settings.cpu_model = "no such model";

    const auto exit = finish();

    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->reason, ExitReason::internal_error);
    EXPECT_NE(exit->text.find("CPU model"), std::string_view::npos);
}

}  // namespace
}  // namespace banyan::kvm
