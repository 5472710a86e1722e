#include "cpu/kvm/kvm_vcpu.hpp"

#include <gtest/gtest.h>

#include "arch/x86/register_state.hpp"
#include "cpu/kvm/kvm_testing.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan::kvm {
namespace {

class FakeExtInt final : public ExtIntSource {
public:
    bool pending() const override { return vector.has_value(); }
    std::optional<uint8_t> acknowledge() override { return std::exchange(vector, std::nullopt); }
    std::optional<uint8_t> vector;
};

// Its KVM_RUN does one step of a script each time, and ends as a shutdown after the last.
class KvmVcpuTest : public testing::Test {
protected:
    using Step = std::function<int(kvm_run&)>;

    void SetUp() override {
        auto made = std::make_unique<FakeHandle>();
        handle = made.get();
        handle->answers[KVM_RUN] = [this](uint64_t) { return next_step(); };
        handle->accept({KVM_NMI, KVM_SET_DEVICE_ATTR, KVM_INTERRUPT});
        VcpuWiring wiring;
        wiring.io = &io;
        wiring.ext_int = &ext_int;
        vcpu = std::make_unique<KvmVcpu>(std::move(made), wiring, machine, eoi);
    }
    int next_step() {
        kvm_run& run = handle->run_page();
        if (run.immediate_exit != 0) return -EINTR;
        if (step < script.size()) return script[step++](run);
        run.exit_reason = KVM_EXIT_SHUTDOWN;
        return 0;
    }

    FakeHandle* handle = nullptr;
    std::vector<Step> script;
    size_t step = 0;
    RecordingIo io;
    RecordingEoi eoi;
    FakeExtInt ext_int;
    GuestMemory memory;
    FakeClock clock;
    KvmMachine machine{memory, clock, XsaveLayout({}), 0};
    std::unique_ptr<KvmVcpu> vcpu;
};

TEST_F(KvmVcpuTest, ExitsAreDoneUntilOneNeedsTheCaller) {
    script.push_back([](kvm_run& run) {
        run.exit_reason = KVM_EXIT_MMIO;
        run.mmio = {0x1000, {1}, 1, 1};
        return 0;
    });

    EXPECT_EQ(vcpu->run().reason, ExitReason::shutdown);
    EXPECT_EQ(io.writes.size(), 1U);
}

TEST_F(KvmVcpuTest, AKickIsRememberedAndTakenOnce) {
    vcpu->kick();

    EXPECT_EQ(vcpu->run().reason, ExitReason::interrupted);
    EXPECT_EQ(vcpu->run().reason, ExitReason::shutdown);
}

TEST_F(KvmVcpuTest, AnAccessIsCompletedBeforeAKickReturns) {
    script.push_back([this](kvm_run& run) {
        run.exit_reason = KVM_EXIT_MMIO;
        run.mmio = {0x1000, {}, 4, 0};
        vcpu->kick();
        return 0;
    });

    EXPECT_EQ(vcpu->run().reason, ExitReason::interrupted);
    EXPECT_EQ(handle->count(KVM_RUN), 2U);
}

TEST_F(KvmVcpuTest, SignalsWithoutAKickDoNotReturn) {
    script.push_back([](kvm_run&) { return -EINTR; });
    script.push_back([](kvm_run&) { return -EAGAIN; });

    EXPECT_EQ(vcpu->run().reason, ExitReason::shutdown);
}

TEST_F(KvmVcpuTest, AFailureOfTheKernelEndsTheRun) {
    script.push_back([](kvm_run&) { return -EFAULT; });

    const Exit exit = vcpu->run();

    EXPECT_EQ(exit.reason, ExitReason::internal_error);
    EXPECT_NE(exit.text.find("0xe"), std::string_view::npos) << exit.text;
}

TEST_F(KvmVcpuTest, AnNmiIsGivenOnceBeforeTheEntry) {
    vcpu->raise_nmi();

    vcpu->run();

    EXPECT_EQ(handle->count(KVM_NMI), 1U);
}

TEST_F(KvmVcpuTest, AnInterruptOfThe8259sWaitsUntilItCanBeTaken) {
    ext_int.vector = 0x30;
    script.push_back([this](kvm_run& run) {
        EXPECT_EQ(run.request_interrupt_window, 1);
        EXPECT_EQ(handle->count(KVM_INTERRUPT), 0U);
        run.ready_for_interrupt_injection = 1;
        run.exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
        return 0;
    });
    script.push_back([this](kvm_run& run) {
        EXPECT_EQ(run.request_interrupt_window, 0);
        EXPECT_EQ(handle->count(KVM_INTERRUPT), 1U);
        run.exit_reason = KVM_EXIT_SHUTDOWN;
        return 0;
    });
    uint32_t vector = 0;
    handle->on<kvm_interrupt>(KVM_INTERRUPT, [&](const kvm_interrupt& interrupt) {
        vector = interrupt.irq;
        return 0;
    });

    vcpu->run();

    EXPECT_EQ(vector, 0x30U);
    EXPECT_EQ(step, 2U);
}

TEST_F(KvmVcpuTest, OneThatWentAwayIsNotInjected) {
    script.push_back([](kvm_run& run) {
        run.ready_for_interrupt_injection = 1;
        return -EINTR;
    });

    vcpu->run();

    EXPECT_EQ(handle->count(KVM_INTERRUPT), 0U);
}

TEST_F(KvmVcpuTest, AFullRingIsEmptiedAndTheGuestGoesOn) {
    FakeHandle vm;
    vm.accept({KVM_SET_USER_MEMORY_REGION, KVM_RESET_DIRTY_RINGS});
    KvmMemory slots(vm, memory);
    std::array<kvm_dirty_gfn, 2> ring{};
    slots.add_ring(ring);
    slots.start_log();
    machine.slots = &slots;
    script.push_back([&](kvm_run& run) {
        ring[0].flags = KVM_DIRTY_GFN_F_DIRTY;
        run.exit_reason = KVM_EXIT_DIRTY_RING_FULL;
        return 0;
    });

    EXPECT_EQ(vcpu->run().reason, ExitReason::shutdown);

    EXPECT_EQ(vm.count(KVM_RESET_DIRTY_RINGS), 1U);
}

TEST_F(KvmVcpuTest, ADebuggersBreakpointEndsTheRun) {
    handle->accept({KVM_SET_GUEST_DEBUG});
    ASSERT_TRUE(vcpu->set_debug({.breakpoints = {0x1000}}));
    script.push_back([](kvm_run& run) {
        run.exit_reason = KVM_EXIT_DEBUG;
        run.debug.arch = {.exception = 3, .pad = 0, .pc = 0x1000, .dr6 = 0, .dr7 = 0};
        return 0;
    });

    const Exit exit = vcpu->run();

    EXPECT_EQ(exit.reason, ExitReason::debug);
    EXPECT_EQ(exit.debug.event, DebugEvent::breakpoint);
}

TEST_F(KvmVcpuTest, AddressesAreTranslatedByKvm) {
    handle->on<kvm_translation>(KVM_TRANSLATE, [](kvm_translation& translation) {
        translation.valid = translation.linear_address < 0x1000 ? 1 : 0;
        translation.physical_address = translation.linear_address + 0x8000;
        return 0;
    });

    EXPECT_EQ(vcpu->translate(0x123), Gpa{0x8123});
    EXPECT_EQ(vcpu->translate(0x1000), std::nullopt);
}

}  // namespace
}  // namespace banyan::kvm
