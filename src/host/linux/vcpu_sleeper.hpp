// VcpuSleeper: where a vCPU's thread sleeps while its vCPU is halted or the VM is paused.
#pragma once

#include <atomic>
#include <cstdint>

#include "vm/engine.hpp"

namespace banyan {

// A wake() before sleep() is remembered, so none is lost between looking for work and falling
// asleep:
//
//     while (!vcpu.has_work()) sleeper.sleep();
class VcpuSleeper final : public VcpuWaker {
public:
    // From any thread.
    void wake() override {
        awake_.store(1, std::memory_order_release);
        awake_.notify_one();
    }

    // By one thread. May return although nothing happened.
    void sleep() {
        awake_.wait(0, std::memory_order_acquire);
        // An exchange, not a store: whoever stored the 1 that is cleared here did its work before.
        awake_.exchange(0, std::memory_order_acq_rel);
    }

private:
    std::atomic<uint32_t> awake_{0};
};

}  // namespace banyan
