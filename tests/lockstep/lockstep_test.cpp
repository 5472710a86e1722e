// Differences are found, and told: engines that are broken on purpose.
#include "lockstep/lockstep.hpp"

#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <thread>

#include "arch/x86/register_state.hpp"
#include "cpu/interp/interp_engine.hpp"
#include "lockstep/comparison.hpp"
#include "lockstep/machine.hpp"
#include "lockstep/stream_generator.hpp"
#include "lockstep/wrapped_engine.hpp"

namespace banyan::lockstep {
namespace {

using namespace std::chrono_literals;

constexpr EngineEntry kInterpreter{"interp", interp::create_engine};

// What the broken vCPUs need beside what they wrap.
GuestMemory* broken_memory = nullptr;

template <class V>
Result<std::unique_ptr<Engine>> create_broken(const EngineConfig& config,
                                              std::string_view cpu_model) {
    broken_memory = config.memory;
    TRY_ASSIGN(inner, interp::create_engine(config, cpu_model));
    return std::make_unique<WrappedEngine<V>>(std::move(inner));
}

template <class V>
Comparison compare_with(const Program& program, const RunOptions& options = {}) {
    return compare_engines(kInterpreter, {"broken", create_broken<V>}, program, options);
}

bool mentions(const Comparison& comparison, std::string_view text) {
    return comparison.report.find(text) != std::string::npos;
}

class WrongRegister final : public WrappedVcpu {
public:
    using WrappedVcpu::WrappedVcpu;
    void get_state(x86::RegisterState& state) const override {
        WrappedVcpu::get_state(state);
        state.gpr[x86::kR9] ^= 1U << 13;
    }
};

class WrongVector final : public WrappedVcpu {
public:
    using WrappedVcpu::WrappedVcpu;
    void get_state(x86::RegisterState& state) const override {
        WrappedVcpu::get_state(state);
        state.xsave[x86::kXsaveAvxOffset + 5 * 16] ^= std::byte{1};
    }
};

class WrongMemory final : public WrappedVcpu {
public:
    using WrappedVcpu::WrappedVcpu;
    Exit run() override {
        const Exit exit = WrappedVcpu::run();
        const bool done = broken_memory->write_object(Gpa{kData + 0x120}, uint64_t{0x5A});
        EXPECT_TRUE(done);
        return exit;
    }
};

class Endless final : public WrappedVcpu {
public:
    using WrappedVcpu::WrappedVcpu;
    Exit run() override {
        while (!kicked_)
            std::this_thread::yield();
        return {ExitReason::interrupted, {}};
    }
    void kick() override { kicked_ = true; }

private:
    std::atomic<bool> kicked_{false};
};

Program program(uint64_t number = 0) {
    return StreamGenerator(7).make(number);
}

TEST(Lockstep, SameEngineAgrees) {
    const Comparison comparison = compare_engines(kInterpreter, kInterpreter, program());
    EXPECT_TRUE(comparison.equal) << comparison.report;
    EXPECT_GT(comparison.instructions, 100U);
}

TEST(Lockstep, DisturbedEngineAgrees) {
    const RunOptions options{.mode = Mode::disturbed};
    const Comparison comparison = compare_engines(kInterpreter, kInterpreter, program(), options);
    EXPECT_TRUE(comparison.equal) << comparison.report;
}

x86::RegisterState end_of(const Program& program) {
    Machine machine(kInterpreter, program, RunOptions().cpu_model);
    Stop stop = machine.run(10s);
    while (stop.kind == StopKind::checkpoint) {
        machine.wake();
        stop = machine.run(10s);
    }
    return stop.state;
}

Program user_program() {
    for (uint64_t number = 0;; ++number) {
        Program made = program(number);
        if (!made.settings.supervisor) return made;
    }
}

// It would depend on whether an interrupt comes late enough for its IRET to drop the segment.
TEST(Lockstep, UserProgramKeepsNoSegmentOfTheKernel) {
    Program program = user_program();
    const auto function = program.image.get<uint64_t>(kSyscalls) - kKernelWindow;
    // xor eax, eax; syscall; int kExitVector
    program.image.put(program.state.rip - kUserWindow,
                      std::to_array<uint8_t>({0x31, 0xC0, 0x0F, 0x05, 0xCD, kExitVector}));
    // mov ecx, kKernelSs; mov es, ecx; mov ds, ecx; ret
    program.image.put(
        function, std::to_array<uint8_t>({0xB9, kKernelSs, 0, 0, 0, 0x8E, 0xC1, 0x8E, 0xD9, 0xC3}));

    const x86::RegisterState state = end_of(program);

    EXPECT_EQ(state.segments[x86::kEs].selector, kUserSs);
    EXPECT_EQ(state.segments[x86::kDs].selector, kUserSs);
}

TEST(Lockstep, WrongRegisterIsNamed) {
    const Comparison comparison = compare_with<WrongRegister>(program());
    EXPECT_FALSE(comparison.equal);
    EXPECT_TRUE(mentions(comparison, "r9:")) << comparison.report;
    EXPECT_FALSE(mentions(comparison, "r8:")) << comparison.report;
}

TEST(Lockstep, WrongVectorIsNamed) {
    const Comparison comparison = compare_with<WrongVector>(program());
    EXPECT_FALSE(comparison.equal);
    EXPECT_TRUE(mentions(comparison, "ymmh5:")) << comparison.report;
}

TEST(Lockstep, WrongMemoryIsNamed) {
    const Comparison comparison = compare_with<WrongMemory>(program());
    EXPECT_FALSE(comparison.equal);
    EXPECT_TRUE(mentions(comparison, "data + 120:")) << comparison.report;
}

TEST(Lockstep, EndlessEngineIsReported) {
    const Comparison comparison = compare_with<Endless>(program(), {.time = 200ms});
    EXPECT_FALSE(comparison.equal);
    EXPECT_FALSE(comparison.endless);
    EXPECT_TRUE(mentions(comparison, "out of time")) << comparison.report;
}

TEST(Lockstep, PortAccessesAreCompared) {
    const std::vector<PortAccess> a{{true, 0x80, 1, 5}};
    const std::vector<PortAccess> b{{true, 0x80, 1, 6}};
    EXPECT_EQ(compare_ports(a, a), "");
    EXPECT_NE(compare_ports(a, b).find("value"), std::string::npos);
}

TEST(Lockstep, DeadFlagsInExceptionFramesAreNotCompared) {
    std::vector<std::byte> a(kRamSize);
    std::vector<std::byte> b(kRamSize);
    b[kFaultStack - 24] = std::byte{x86::kZf | x86::kCf};
    EXPECT_EQ(compare_memory(a, b), "");
    b[kFaultStack - 24 + 1] = std::byte{x86::kIf >> 8};
    EXPECT_NE(compare_memory(a, b), "");
}

TEST(StreamGenerator, MakesTheSameProgramAgain) {
    StreamGenerator generator(11);
    const Program other = generator.make(3);
    const Program first = generator.make(4);
    const Program again = StreamGenerator(11).make(4);
    EXPECT_EQ(first.image.bytes(), again.image.bytes());
    EXPECT_EQ(compare_states(first.state, again.state), "");
    EXPECT_NE(first.image.bytes(), other.image.bytes());
}

TEST(StreamGenerator, ShorterProgramsAreBeginnings) {
    StreamGenerator generator(11);
    const Program whole = generator.make(4);
    const Program part = generator.make(4, 1);
    EXPECT_EQ(compare_states(whole.state, part.state), "");
    const uint64_t start = kCode + (whole.state.rip & (kCodeSize - 1));
    EXPECT_NE(whole.image.bytes(), part.image.bytes());
    EXPECT_EQ(whole.image.get<uint8_t>(start), part.image.get<uint8_t>(start));
    EXPECT_EQ(whole.image.get<uint64_t>(kData), part.image.get<uint64_t>(kData));
}

}  // namespace
}  // namespace banyan::lockstep
