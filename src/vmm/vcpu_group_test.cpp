#include "vmm/vcpu_group.hpp"

#include <cstdlib>
#include <gtest/gtest.h>

namespace banyan {
namespace {

// Counts in the guest until it is kicked.
class CountingVcpu final : public Vcpu {
public:
    Exit run() override {
        while (!kicked_.exchange(false)) {
            ++count;
            std::this_thread::yield();
        }
        return {ExitReason::interrupted};
    }
    void kick() override { kicked_ = true; }
    bool has_work() const override { return true; }
    VcpuSignals& signals() override { std::abort(); }
    void get_state(x86::RegisterState&) const override {}
    Result<void> set_state(const x86::RegisterState&) override { return {}; }
    void reset() override {}
    Result<void> set_debug(const DebugRequest&) override { return {}; }
    std::optional<Gpa> translate(uint64_t) const override { return std::nullopt; }
    uint64_t instructions() const override { return count; }

    std::atomic<uint64_t> count{0};

private:
    std::atomic<bool> kicked_{false};
};

class NoExits final : public VcpuExitSink {
public:
    void on_vcpu_exit(unsigned, const Vcpu&, const Exit&) override { FAIL(); }
};

TEST(VcpuGroup, StandsStillWhilePaused) {
    NoExits sink;
    VcpuGroup group(2, sink);
    for (unsigned i = 0; i < 2; ++i)
        group.attach(i, std::make_unique<CountingVcpu>());
    auto& first = static_cast<CountingVcpu&>(group.vcpu(0));
    auto& second = static_cast<CountingVcpu&>(group.vcpu(1));
    group.start();
    while (first.count == 0 || second.count == 0)
        std::this_thread::yield();

    group.pause();
    const uint64_t paused_at = first.count + second.count;
    for (int i = 0; i < 100; ++i)
        std::this_thread::yield();
    EXPECT_EQ(first.count + second.count, paused_at);

    group.resume();
    while (first.count + second.count == paused_at)
        std::this_thread::yield();
    group.stop();
    EXPECT_GT(first.count + second.count, paused_at);
}

TEST(VcpuGroup, CanBePausedAndResumedManyTimes) {
    NoExits sink;
    VcpuGroup group(2, sink);
    for (unsigned i = 0; i < 2; ++i)
        group.attach(i, std::make_unique<CountingVcpu>());
    group.start();

    uint64_t last = 0;
    for (int i = 0; i < 200; ++i) {
        group.pause();
        const uint64_t count = group.vcpu(0).instructions();
        EXPECT_GE(count, last);
        last = count;
        group.resume();
    }
    group.stop();
}

}  // namespace
}  // namespace banyan
