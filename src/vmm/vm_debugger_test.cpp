#include "vmm/vm_debugger.hpp"

#include <array>
#include <cstdlib>
#include <gtest/gtest.h>

#include "vmm/testing/scripted_vcpu.hpp"

namespace banyan {
namespace {

// What VmDebugger uses of a VM.
class PausedVm final : public VmApi {
public:
    explicit PausedVm(Lifecycle& lifecycle) : lifecycle_(lifecycle) {}
    const VmConfig& config() const override { std::abort(); }
    std::array<uint8_t, 16> uuid() const override { return {}; }
    std::string_view engine_reason() const override { return ""; }
    std::string_view engine_name() const override { return ""; }
    std::vector<Statistics> statistics() const override { return {}; }
    std::vector<int> vcpu_threads() const override { return {}; }
    std::vector<DiskFacts> disks() const override { return {}; }
    std::string_view console_place() const override { return ""; }
    VmOutcome run() override { return lifecycle_.run(); }
    void stop(std::string_view why, VmCause cause) override { lifecycle_.stop(why, cause); }
    void pause(PauseReason) override { lifecycle_.vcpus().pause(); }
    void resume(PauseReason) override { lifecycle_.vcpus().resume(); }
    VmState state() const override { return VmState::running; }
    void press_power_button() override {}
    void reset() override {}
    void retry_disk_writes() override {}
    void add_observer(VmObserver&) override {}
    void remove_observer(VmObserver&) override {}
    DisplaySource* display() override { return nullptr; }
    InputSink* input() override { return nullptr; }
    VmDebug& debug() override { std::abort(); }

private:
    Lifecycle& lifecycle_;
};

constexpr uint64_t kCode = 0x100;
constexpr DebugPoint kPoint{DebugAccess::write, 0x200, 4};
constexpr DebugMotion kRun = DebugMotion::run;
constexpr DebugMotion kStep = DebugMotion::step;
constexpr DebugMotion kStay = DebugMotion::stay;

// A client that does at each stop the next thing of a list, and ends the VM when it has no more.
class VmDebuggerTest : public testing::Test, public DebugClient {
protected:
    using Script = std::vector<ScriptedVcpu::Step>;

    void create(const std::vector<Script>& scripts) {
        auto made_loop = EventLoop::create();
        ASSERT_TRUE(made_loop);
        loop = std::move(*made_loop);
        LifecycleConfig config;
        config.cpus = static_cast<unsigned>(scripts.size());
        config.restart = [this]() -> Result<void> {
            debugger->forget_memory();
            later->notify();
            return {};
        };
        config.debug_stop = [this](unsigned index, const DebugStop& why) {
            debugger->on_vcpu_stop(index, why);
        };
        auto made = Lifecycle::create(*loop, std::move(config));
        ASSERT_TRUE(made);
        lifecycle = std::move(*made);
        for (unsigned i = 0; i < scripts.size(); ++i) {
            auto vcpu = std::make_unique<ScriptedVcpu>(lifecycle->vcpus().waker(i), scripts[i]);
            vcpus.push_back(vcpu.get());
            lifecycle->vcpus().attach(i, std::move(vcpu));
        }
        vm = std::make_unique<PausedVm>(*lifecycle);
        ASSERT_TRUE(memory.add_region(Gpa{0}, bytes, MemoryKind::ram));
        auto made_debugger = VmDebugger::create(*loop, {*vm, *lifecycle, memory});
        ASSERT_TRUE(made_debugger);
        debugger = std::move(*made_debugger);
        auto made_later = Notifier::create(*loop, [this] { act(); });
        ASSERT_TRUE(made_later);
        later = std::move(*made_later);
    }
    // From the start on, where the client is attached, to the end.
    VmOutcome run() {
        debugger->attach(*this);
        act();
        VmOutcome outcome = lifecycle->run();
        later.reset();
        debugger.reset();
        lifecycle.reset();
        return outcome;
    }
    void on_stopped(const VcpuStop& stop) override {
        stops.push_back(stop);
        act();
    }
    void act() {
        if (next == actions.size()) return debugger->end("the test is over");
        actions[next++]();
    }
    void resume(std::vector<DebugMotion> motions) { debugger->resume(motions); }

    static ScriptedVcpu::Step stops_for(DebugStop why) {
        return [why](ScriptedVcpu&) { return Exit{ExitReason::debug, {}, why}; };
    }

    std::unique_ptr<EventLoop> loop;
    std::unique_ptr<Lifecycle> lifecycle;
    std::unique_ptr<PausedVm> vm;
    std::vector<ScriptedVcpu*> vcpus;
    alignas(kPageSize) std::array<std::byte, 2 * kPageSize> bytes{};
    GuestMemory memory;
    std::unique_ptr<VmDebugger> debugger;
    std::unique_ptr<Notifier> later;
    std::vector<std::function<void()>> actions;
    size_t next = 0;
    std::vector<VcpuStop> stops;
};

TEST_F(VmDebuggerTest, AStopIsReportedWhenAllStandStill) {
    create({{stops_for({DebugEvent::breakpoint})}, {}});
    actions = {[this] {
                   resume({kRun, kRun});
               },
               [this] {
                   EXPECT_EQ(lifecycle->vcpus().pauses(), 1U);
                   debugger->end("enough");
               }};

    EXPECT_EQ(run().end, VmEnd::stopped);

    ASSERT_EQ(stops.size(), 1U);
    EXPECT_EQ(stops[0].vcpu, 0U);
    EXPECT_EQ(stops[0].why->event, DebugEvent::breakpoint);
}

TEST_F(VmDebuggerTest, OneStepsWhileTheOtherStays) {
    std::atomic<bool> may_run{false};
    const auto steps = [](ScriptedVcpu& vcpu) {
        EXPECT_TRUE(vcpu.debug().single_step);
        return Exit{ExitReason::debug, {}, {DebugEvent::step}};
    };
    const auto stays = [&](ScriptedVcpu& vcpu) {
        EXPECT_TRUE(may_run);
        EXPECT_FALSE(vcpu.debug().single_step);
        return Exit{ExitReason::debug, {}, {DebugEvent::breakpoint}};
    };
    create({{steps, steps}, {stays}});
    actions = {[this] {
                   resume({kStep, kStay});
               },
               [this] {
                   resume({kStep, kStay});
               },
               [&] {
                   may_run = true;
                   resume({kStay, kRun});
               }};

    run();

    ASSERT_EQ(stops.size(), 3U);
    EXPECT_EQ(stops[0].vcpu, 0U);
    EXPECT_EQ(stops[1].vcpu, 0U);
    EXPECT_EQ(stops[2].vcpu, 1U);
}

TEST_F(VmDebuggerTest, InterruptStopsWhatRuns) {
    create({{[this](ScriptedVcpu& vcpu) {
        later->notify();
        return vcpu.spin();
    }}});
    actions = {[this] { resume({kRun}); }, [this] { debugger->interrupt(); }};

    run();

    ASSERT_EQ(stops.size(), 1U);
    EXPECT_FALSE(stops[0].why);
}

// Both have written to what is watched before they could be stopped.
TEST_F(VmDebuggerTest, AWatchpointThatCameAtTheSameTimeIsReportedNext) {
    std::atomic<int> arrived{0};
    const auto writes = [&](ScriptedVcpu&) {
        ++arrived;
        while (arrived < 2)
            std::this_thread::yield();
        return Exit{ExitReason::debug, {}, {DebugEvent::point, kPoint}};
    };
    create({{writes}, {writes}});
    EXPECT_TRUE(debugger->watch(kPoint));
    actions = {[this] { resume({kRun, kRun}); }, [this] { resume({kRun, kRun}); }};

    run();

    ASSERT_EQ(stops.size(), 2U);
    EXPECT_NE(stops[0].vcpu, stops[1].vcpu);
}

TEST_F(VmDebuggerTest, VcpusAreAskedForWhatIsSet) {
    create({{stops_for({DebugEvent::step})}});
    actions = {[this] {
                   EXPECT_TRUE(debugger->plant(0, kCode));
                   EXPECT_TRUE(debugger->watch(kPoint));
                   resume({kRun});
               },
               [this] {
                   EXPECT_EQ(vcpus[0]->debug().breakpoints, std::vector<uint64_t>{kCode});
                   EXPECT_EQ(vcpus[0]->debug().points, std::vector<DebugPoint>{kPoint});
                   EXPECT_EQ(bytes[kCode], std::byte{0xCC});
                   debugger->detach();
                   EXPECT_TRUE(vcpus[0]->debug().empty());
                   EXPECT_EQ(bytes[kCode], std::byte{0});
                   EXPECT_EQ(lifecycle->vcpus().pauses(), 0U);
                   debugger->end("enough");
               }};

    run();
}

TEST_F(VmDebuggerTest, AResetTakesOutBreakpointsAndStaysStopped) {
    create({{}});
    actions = {[this] {
                   EXPECT_TRUE(debugger->plant(0, kCode));
                   EXPECT_TRUE(debugger->watch(kPoint));
                   debugger->reset();
               },
               [this] {
                   EXPECT_EQ(bytes[kCode], std::byte{0});
                   EXPECT_TRUE(vcpus[0]->debug().breakpoints.empty());
                   EXPECT_EQ(vcpus[0]->debug().points.size(), 1U);
                   EXPECT_EQ(lifecycle->vcpus().pauses(), 1U);
                   debugger->end("enough");
               }};

    run();
}

TEST_F(VmDebuggerTest, MemoryEndsWhereItIsNotMapped) {
    create({{}});
    std::array<std::byte, 16> some{};
    const uint64_t end = 2 * kPageSize;

    EXPECT_EQ(debugger->read_memory(0, kPageSize - 8, some), 16U) << "two pages";
    EXPECT_EQ(debugger->read_memory(0, end - 8, some), 8U) << "as much as there is";
    EXPECT_EQ(debugger->read_memory(0, ScriptedVcpu::kUnmapped, some), 0U);
    EXPECT_EQ(debugger->write_memory(0, end - 16, some), 16U);
    EXPECT_FALSE(debugger->plant(0, ScriptedVcpu::kUnmapped));
}

TEST_F(VmDebuggerTest, PointsAreAsManyAsRegisters) {
    create({{}});
    for (uint64_t i = 0; i < DebugRequest::kMaxPoints; ++i)
        EXPECT_TRUE(debugger->watch({DebugAccess::execute, i, 1}));

    EXPECT_TRUE(debugger->watch({DebugAccess::execute, 0, 1})) << "it is watched";
    EXPECT_FALSE(debugger->watch(kPoint));
    debugger->unwatch({DebugAccess::execute, 0, 1});
    EXPECT_TRUE(debugger->watch(kPoint));
}

}  // namespace
}  // namespace banyan
