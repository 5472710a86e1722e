#include "vmm/lifecycle.hpp"

#include <gtest/gtest.h>
#include <vector>

#include "vmm/testing/scripted_vcpu.hpp"

namespace banyan {
namespace {

class LifecycleTest : public testing::Test {
protected:
    void SetUp() override {
        auto made = EventLoop::create();
        ASSERT_TRUE(made);
        loop = std::move(*made);
        config.restart = [this]() -> Result<void> {
            ++restarts;
            for (unsigned i = 0; i < lifecycle->vcpus().size(); ++i)
                lifecycle->vcpus().vcpu(i).reset();
            return {};
        };
    }

    VmOutcome run(const std::vector<std::vector<ScriptedVcpu::Step>>& scripts) {
        config.cpus = static_cast<unsigned>(scripts.size());
        auto made = Lifecycle::create(*loop, config);
        EXPECT_TRUE(made);
        lifecycle = std::move(*made);
        for (unsigned i = 0; i < config.cpus; ++i) {
            auto vcpu = std::make_unique<ScriptedVcpu>(lifecycle->vcpus().waker(i), scripts[i]);
            vcpus.push_back(vcpu.get());
            lifecycle->vcpus().attach(i, std::move(vcpu));
        }
        VmOutcome outcome = lifecycle->run();
        lifecycle.reset();
        return outcome;
    }

    ScriptedVcpu::Step requests(MachineEvent event, uint32_t value = 0) {
        return [this, event, value](ScriptedVcpu& vcpu) {
            lifecycle->request(event, value);
            return vcpu.spin();
        };
    }
    static ScriptedVcpu::Step exits(ExitReason reason, std::string_view text = {}) {
        return [reason, text](ScriptedVcpu&) { return Exit{reason, text}; };
    }

    std::unique_ptr<EventLoop> loop;
    LifecycleConfig config;
    std::unique_ptr<Lifecycle> lifecycle;
    std::vector<ScriptedVcpu*> vcpus;
    int restarts = 0;
};

TEST_F(LifecycleTest, PowerOffEndsWith0) {
    const VmOutcome outcome =
        run({{exits(ExitReason::interrupted), requests(MachineEvent::power_off)}});

    EXPECT_EQ(outcome.end, VmEnd::powered_off);
    EXPECT_EQ(exit_status(outcome), 0);
    EXPECT_EQ(outcome.message, "");
}

TEST_F(LifecycleTest, APanicEndsWith3) {
    const VmOutcome outcome = run({{requests(MachineEvent::guest_panic)}});

    EXPECT_EQ(outcome.end, VmEnd::guest_panic);
    EXPECT_EQ(exit_status(outcome), 3);
}

TEST_F(LifecycleTest, ATripleFaultEndsWith3AndSaysWhere) {
    const VmOutcome outcome = run({{exits(ExitReason::shutdown)}});

    EXPECT_EQ(exit_status(outcome), 3);
    EXPECT_NE(outcome.message.find("triple fault of CPU 0 at rip 0x1234"), std::string::npos);
    EXPECT_NE(outcome.registers.find("rip=0000000000001234"), std::string::npos);
}

TEST_F(LifecycleTest, AnEngineDefectEndsWith5AndRegisters) {
    const VmOutcome outcome = run({{exits(ExitReason::internal_error, "no such opcode")}});

    EXPECT_EQ(exit_status(outcome), 5);
    EXPECT_NE(outcome.message.find("no such opcode"), std::string::npos);
    EXPECT_NE(outcome.registers.find("cr3="), std::string::npos);
}

TEST_F(LifecycleTest, DebugExitEndsWithItsValue) {
    const VmOutcome outcome = run({{requests(MachineEvent::debug_exit, 0x10)}});

    EXPECT_EQ(outcome.end, VmEnd::debug_exit);
    EXPECT_EQ(exit_status(outcome), 0x21);
}

TEST_F(LifecycleTest, AStopEndsWith4AlthoughTheGuestSpins) {
    const VmOutcome outcome = run({{[this](ScriptedVcpu& vcpu) {
        lifecycle->stop("SIGTERM", VmCause::host_signal);
        return vcpu.spin();
    }}});

    EXPECT_EQ(exit_status(outcome), 4);
    EXPECT_EQ(outcome.message,
              "the VM was ended: SIGTERM; the guest was not shut down, power it off from inside to "
              "lose nothing");
}

TEST_F(LifecycleTest, ALostConsoleEndsWith1) {
    const VmOutcome outcome = run({{[this](ScriptedVcpu& vcpu) {
        lifecycle->lose_console("Broken pipe");
        return vcpu.spin();
    }}});

    EXPECT_EQ(exit_status(outcome), 1);
    EXPECT_EQ(outcome.message,
              "write the console to standard output: Broken pipe; keep its reader, or use "
              "--console file:PATH or none");
}

TEST_F(LifecycleTest, AStopWakesAHaltedVcpu) {
    const VmOutcome outcome = run({{}, {[this](ScriptedVcpu&) {
                                       lifecycle->stop("SIGINT", VmCause::host_signal);
                                       return Exit{ExitReason::halted};
                                   }}});

    EXPECT_EQ(exit_status(outcome), 4);
}

TEST_F(LifecycleTest, AStopWinsOverAReset) {
    const VmOutcome outcome = run({{[this](ScriptedVcpu& vcpu) {
        lifecycle->stop("SIGTERM", VmCause::host_signal);
        lifecycle->request(MachineEvent::reset, 0);
        return vcpu.spin();
    }}});

    EXPECT_EQ(exit_status(outcome), 4);
    EXPECT_EQ(restarts, 0);
}

TEST_F(LifecycleTest, AResetRestartsTheMachine) {
    const VmOutcome outcome = run({{[this](ScriptedVcpu& vcpu) {
        lifecycle->request(restarts == 0 ? MachineEvent::reset : MachineEvent::power_off, 0);
        return vcpu.spin();
    }}});

    EXPECT_EQ(outcome.end, VmEnd::powered_off);
    EXPECT_EQ(restarts, 1);
}

TEST_F(LifecycleTest, AWatchdogIsToldOfBeforeWhatItDoes) {
    std::string told;
    config.tell = [&](const VmEvent& event) {
        told += event.kind == VmEvent::Kind::watchdog ? 'w' : 'e';
    };
    const VmOutcome outcome = run({{[this](ScriptedVcpu& vcpu) {
        lifecycle->watchdog_expired(MachineEvent::power_off);
        return vcpu.spin();
    }}});

    EXPECT_EQ(outcome.end, VmEnd::powered_off);
    EXPECT_EQ(told, "we");
}

TEST_F(LifecycleTest, WithoutRebootAResetEndsWith0) {
    config.reboot = false;

    const VmOutcome outcome = run({{requests(MachineEvent::reset)}});

    EXPECT_EQ(outcome.end, VmEnd::reset);
    EXPECT_EQ(exit_status(outcome), 0);
    EXPECT_EQ(restarts, 0);
}

TEST_F(LifecycleTest, ARestartThatFailsEndsWith1) {
    config.restart = []() -> Result<void> {
        return fail(ErrorCode::not_found, "the kernel is gone");
    };

    const VmOutcome outcome = run({{requests(MachineEvent::reset)}});

    EXPECT_EQ(exit_status(outcome), 1);
    EXPECT_EQ(outcome.message, "the kernel is gone");
}

TEST_F(LifecycleTest, TheFirstRequestWins) {
    const VmOutcome outcome = run({{[this](ScriptedVcpu& vcpu) {
        lifecycle->request(MachineEvent::debug_exit, 3);
        lifecycle->request(MachineEvent::power_off, 0);
        return vcpu.spin();
    }}});

    EXPECT_EQ(exit_status(outcome), 7);
}

TEST_F(LifecycleTest, AHaltedVcpuRunsAgainWhenItHasWork) {
    const VmOutcome outcome = run({{exits(ExitReason::halted), requests(MachineEvent::power_off)},
                                   {[this](ScriptedVcpu&) {
                                        vcpus[0]->give_work();
                                        return Exit{ExitReason::interrupted};
                                    },
                                    exits(ExitReason::halted)}});

    EXPECT_EQ(outcome.end, VmEnd::powered_off);
}

}  // namespace
}  // namespace banyan
