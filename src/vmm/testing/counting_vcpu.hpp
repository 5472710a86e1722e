// A vCPU that does nothing but to run, for tests of what holds and releases vCPUs.
#pragma once

#include <atomic>
#include <cstdlib>
#include <gtest/gtest.h>
#include <thread>

#include "vmm/vcpu_group.hpp"

namespace banyan {

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

class NoVcpuExits final : public VcpuExitSink {
public:
    void on_vcpu_exit(unsigned, const Vcpu&, const Exit&) override { FAIL(); }
};

}  // namespace banyan
