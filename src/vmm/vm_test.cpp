#include "vmm/vm.hpp"

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "host/posix/notifier.hpp"
#include "vmm/testing/scripted_vcpu.hpp"

namespace banyan {
namespace {

constexpr uint16_t kExitPort = 0x501;
constexpr uint16_t kResetPort = 0xCF9;
constexpr uint32_t kHardReset = 6;
constexpr uint16_t kSerialData = 0x3F8;

// What the CPU of the test does: with the board of its VM.
using Script = std::function<Exit(ScriptedVcpu&, CpuIo&)>;

class ScriptedEngine final : public Engine {
public:
    explicit ScriptedEngine(Script script) : script_(std::move(script)) {}

    std::string_view name() const override { return "scripted"; }
    void drop_write_mappings() override {}
    Result<std::unique_ptr<Vcpu>> create_vcpu(const VcpuWiring& wiring) override {
        const auto step = [this, io = wiring.io](ScriptedVcpu& vcpu) { return script_(vcpu, *io); };
        return std::make_unique<ScriptedVcpu>(*wiring.waker, std::vector<ScriptedVcpu::Step>{step});
    }

private:
    Script script_;
};

class VmTest : public testing::Test {
protected:
    void SetUp() override {
        directory = testing::TempDir() + "banyan-vm-XXXXXX";
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
        auto made = EventLoop::create();
        ASSERT_TRUE(made);
        loop = std::move(*made);
        config.kernel = directory + "/kernel";
        config.memory = uint64_t{16} << 20;
        config.console = {ConsoleKind::none, ""};
        config.debug_exit_port = kExitPort;
        write_kernel();
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    // A multiboot image that loads itself to 1 MiB (Multiboot Specification 0.6.96, section 3.1).
    void write_kernel() const {
        constexpr uint32_t kMagic = 0x1BADB002;
        constexpr uint32_t kHasAddresses = 0x10000;
        constexpr uint32_t kBase = 0x100000;
        const std::array<uint32_t, 9> header{kMagic, kHasAddresses, 0 - kMagic - kHasAddresses,
                                             kBase,  kBase,         0,
                                             0,      kBase + 32,    0xF4F4F4F4};
        std::array<char, sizeof(header)> bytes{};
        std::memcpy(bytes.data(), header.data(), bytes.size());
        std::ofstream(config.kernel).write(bytes.data(), bytes.size());
    }

    Result<std::unique_ptr<Vm>> create(Script script) {
        const EngineChoice choice{
            [script](const EngineConfig&, std::string_view) -> Result<std::unique_ptr<Engine>> {
                return std::make_unique<ScriptedEngine>(script);
            },
            "engine scripted: a test"};
        return Vm::create(config, choice, *loop);
    }
    VmOutcome run(Script script) {
        auto vm = create(std::move(script));
        if (!vm) return {.end = VmEnd::failed, .message = std::string(vm.error().text())};
        return (*vm)->run();
    }
    std::string why_not() {
        const auto vm = create([](ScriptedVcpu&, CpuIo&) { return Exit{}; });
        return vm ? "nothing" : std::string(vm.error().text());
    }

    std::string directory;
    std::unique_ptr<EventLoop> loop;
    VmConfig config;
};

TEST_F(VmTest, TheGuestReachesItsBoard) {
    const VmOutcome outcome = run([](ScriptedVcpu& vcpu, CpuIo& io) {
        io.port_write(kExitPort, 1, 0x10);
        return vcpu.spin();
    });

    EXPECT_EQ(outcome.end, VmEnd::debug_exit) << outcome.message;
    EXPECT_EQ(exit_status(outcome), 0x21);
}

TEST_F(VmTest, TheBootProcessorStartsAtTheKernelsEntry) {
    uint64_t rip = 0;
    run([&](ScriptedVcpu& vcpu, CpuIo& io) {
        x86::RegisterState state;
        vcpu.get_state(state);
        rip = state.rip;
        io.port_write(kExitPort, 1, 0);
        return vcpu.spin();
    });

    EXPECT_EQ(rip, 0x100020U);
}

TEST_F(VmTest, AResetLoadsTheKernelAgain) {
    int boots = 0;
    uint64_t rip = 0;
    const VmOutcome outcome = run([&](ScriptedVcpu& vcpu, CpuIo& io) {
        x86::RegisterState state;
        vcpu.get_state(state);
        rip = state.rip;
        io.port_write(++boots == 1 ? kResetPort : kExitPort, 1, kHardReset);
        return vcpu.spin();
    });

    EXPECT_EQ(outcome.end, VmEnd::debug_exit);
    EXPECT_EQ(boots, 2);
    EXPECT_EQ(rip, 0x100020U);
}

// It is open since the start.
TEST_F(VmTest, AResetNeedsNoNameOfTheKernel) {
    int boots = 0;
    const VmOutcome outcome = run([&](ScriptedVcpu& vcpu, CpuIo& io) {
        std::filesystem::remove(config.kernel);
        io.port_write(++boots == 1 ? kResetPort : kExitPort, 1, kHardReset);
        return vcpu.spin();
    });

    EXPECT_EQ(outcome.end, VmEnd::debug_exit) << outcome.message;
    EXPECT_EQ(boots, 2);
}

TEST_F(VmTest, AResetToAKernelThatIsNoneAnyMoreFails) {
    const VmOutcome outcome = run([&](ScriptedVcpu& vcpu, CpuIo& io) {
        std::filesystem::resize_file(config.kernel, 0);
        io.port_write(kResetPort, 1, kHardReset);
        return vcpu.spin();
    });

    EXPECT_EQ(exit_status(outcome), 1);
    EXPECT_NE(outcome.message.find(config.kernel), std::string::npos) << outcome.message;
}

TEST_F(VmTest, WithoutRebootAResetEndsTheRun) {
    config.reboot = false;

    const VmOutcome outcome = run([](ScriptedVcpu& vcpu, CpuIo& io) {
        io.port_write(kResetPort, 1, kHardReset);
        return vcpu.spin();
    });

    EXPECT_EQ(outcome.end, VmEnd::reset);
}

TEST_F(VmTest, ConsoleAndDebugConsoleReachTheirFiles) {
    config.console = {ConsoleKind::file, directory + "/console"};
    config.debugcon = directory + "/debug";

    run([](ScriptedVcpu& vcpu, CpuIo& io) {
        io.port_write(kSerialData, 1, 'c');
        io.port_write(0xE9, 1, 'd');
        io.port_write(kExitPort, 1, 0);
        return vcpu.spin();
    });

    std::string console;
    std::string debug;
    std::ifstream(directory + "/console") >> console;
    std::ifstream(directory + "/debug") >> debug;
    EXPECT_EQ(console, "c");
    EXPECT_EQ(debug, "d");
}

TEST_F(VmTest, WhatCannotBeMadeSaysWhy) {
    config.disks.push_back({directory, false, ""});
    EXPECT_NE(why_not().find("it is a directory"), std::string::npos);

    config.disks.clear();
    config.initrds.push_back({directory + "/none", ""});
    EXPECT_NE(why_not().find("read the initrd"), std::string::npos);

    config.initrds.clear();
    config.kernel = directory + "/none";
    EXPECT_NE(why_not().find("read the kernel"), std::string::npos);

    config.memory = uint64_t{512} << 30;
    EXPECT_NE(why_not().find("give the guest"), std::string::npos);
}

// Writes down what it is told.
class Witness final : public VmObserver {
public:
    void on_vm_event(const VmEvent& event) override {
        constexpr const char* kNames[] = {"paused",   "resumed",   "reset",   "power", "panic",
                                          "watchdog", "disk full", "removed", "ended"};
        seen += std::string(kNames[static_cast<size_t>(event.kind)]) + ";";
        cause = event.cause;
        if (event.outcome != nullptr) status = exit_status(*event.outcome);
    }

    std::string seen;
    VmCause cause = VmCause::guest_shutdown;
    int status = -1;
};

TEST_F(VmTest, ObserversAreToldWhatBecomesOfIt) {
    Witness witness;
    int boots = 0;
    const auto vm = create([&](ScriptedVcpu& vcpu, CpuIo& io) {
        io.port_write(++boots == 1 ? kResetPort : kExitPort, 1, kHardReset);
        return vcpu.spin();
    });
    ASSERT_TRUE(vm);
    (*vm)->add_observer(witness);
    EXPECT_EQ((*vm)->state(), VmState::created);
    (*vm)->run();

    EXPECT_EQ(witness.seen, "reset;ended;");
    EXPECT_EQ(witness.status, 13);
    EXPECT_EQ((*vm)->state(), VmState::ended);
}

// Everybody's pause counts, and the user's once.
TEST_F(VmTest, StandsStillWhileAnybodyWantsIt) {
    Witness witness;
    const auto vm = create([](ScriptedVcpu& vcpu, CpuIo&) { return vcpu.spin(); });
    ASSERT_TRUE(vm);
    VmApi& api = **vm;
    api.add_observer(witness);
    const auto steps = Notifier::create(*loop, [&] {
        EXPECT_EQ(api.state(), VmState::running);
        api.resume(PauseReason::user);
        api.pause(PauseReason::user);
        api.pause(PauseReason::user);
        EXPECT_EQ(api.state(), VmState::paused);
        api.pause(PauseReason::disk_full);
        EXPECT_EQ(api.state(), VmState::disk_full);
        api.resume(PauseReason::user);
        EXPECT_EQ(api.state(), VmState::disk_full);
        EXPECT_EQ(witness.seen, "paused;");
        api.resume(PauseReason::disk_full);
        EXPECT_EQ(api.state(), VmState::running);
        api.pause(PauseReason::debugger);
        EXPECT_EQ(api.state(), VmState::debugged);
        api.resume(PauseReason::debugger);
        api.press_power_button();
        api.stop("a test", VmCause::host_quit);
    });
    ASSERT_TRUE(steps);
    (*steps)->notify();
    api.run();

    EXPECT_EQ(witness.seen, "paused;resumed;paused;resumed;power;ended;");
    EXPECT_EQ(witness.cause, VmCause::host_quit);
    EXPECT_EQ(witness.status, 4);
    api.remove_observer(witness);
}

TEST_F(VmTest, IsResetFromOutsideAlsoWhilePaused) {
    Witness witness;
    VmApi* api = nullptr;
    const auto resume = Notifier::create(*loop, [&] {
        EXPECT_EQ(api->state(), VmState::paused);
        api->resume(PauseReason::user);
    });
    const auto reset = Notifier::create(*loop, [&] {
        api->pause(PauseReason::user);
        api->reset();
        (*resume)->notify();
    });
    std::atomic<int> boots{0};
    const auto vm = create([&](ScriptedVcpu& vcpu, CpuIo& io) {
        if (++boots == 1)
            (*reset)->notify();
        else
            io.port_write(kExitPort, 1, 0);
        return vcpu.spin();
    });
    ASSERT_TRUE(vm);
    api = vm->get();
    api->add_observer(witness);
    api->run();

    EXPECT_NE(witness.seen.find("reset;"), std::string::npos) << witness.seen;
    EXPECT_TRUE(witness.seen.ends_with("ended;")) << witness.seen;
}

TEST_F(VmTest, TellsOfItsDisks) {
    const std::string disk = directory + "/disk";
    std::ofstream{disk};
    std::filesystem::resize_file(disk, 4096);
    config.disks.push_back({.path = disk, .read_only = true, .serial = {}});

    const auto vm = create([](ScriptedVcpu&, CpuIo&) { return Exit{}; });

    ASSERT_TRUE(vm) << vm.error().text();
    const auto disks = (*vm)->disks();
    ASSERT_EQ(disks.size(), 1U);
    EXPECT_EQ(disks[0].name, "disk0");
    EXPECT_EQ(disks[0].format, "raw");
    EXPECT_EQ(disks[0].size, 4096U);
    EXPECT_TRUE(disks[0].read_only);
    EXPECT_EQ(disks[0].counts.reads.done, 0U);
}

TEST_F(VmTest, DisksOfTwoVmsExcludeEachOther) {
    const std::string disk = directory + "/disk";
    std::ofstream{disk};
    std::filesystem::resize_file(disk, 4096);
    config.disks.push_back({disk, false, "d1"});

    const auto first = create([](ScriptedVcpu&, CpuIo&) { return Exit{}; });

    ASSERT_TRUE(first) << first.error().text();
    EXPECT_NE(why_not().find("another VM or program uses it"), std::string::npos);
}

}  // namespace
}  // namespace banyan
