// KvmKick: brings a vCPU back out of KVM_RUN, without ever losing a call.
//
// Two means together (KVM API 5, "immediate_exit"): a byte of the shared page that makes KVM_RUN
// return at once, for a vCPU that is about to enter; and a signal for one that is inside. Whoever
// calls sets the byte first and looks at `inside_` then; the vCPU sets `inside_` first, and the
// kernel looks at the byte then. So at least one of them sees the other. The signal's handler does
// nothing: that it came is enough to end KVM_RUN with EINTR.
#pragma once

#include <atomic>
#include <cstdint>

#include "cpu/kvm/kvm_uapi.hpp"

namespace banyan::kvm {

class KvmKick {
public:
    // Sends the signal to a thread; tests count it instead.
    using Signal = void (*)(int thread);

    explicit KvmKick(kvm_run& run, Signal signal = send_signal) : run_(run), signal_(signal) {}

    // From any thread.
    // The vCPU is to leave run(); remembered until it does.
    void kick();
    // The vCPU is to look at what waits for it, which has been stored before.
    void poke();

    // By the vCPU's thread.
    // Before the first KVM_RUN on this thread: it can now be signalled. The first call gives the
    // signal its handler, for the whole process.
    void adopt_thread();
    // Around KVM_RUN.
    void enter() { inside_.store(true, std::memory_order_seq_cst); }
    void leave() { inside_.store(false, std::memory_order_release); }
    // After EINTR: allows KVM_RUN again. What was stored before a poke() is seen after it.
    void rearm();
    // True once for all kicks until now.
    bool take() { return kicked_.exchange(false, std::memory_order_seq_cst); }

private:
    static void send_signal(int thread);
    std::atomic_ref<uint8_t> immediate_exit() const {
        return std::atomic_ref<uint8_t>(run_.immediate_exit);
    }

    kvm_run& run_;
    const Signal signal_;
    std::atomic<bool> kicked_{false};
    std::atomic<bool> inside_{false};
    std::atomic<int> thread_{0};  // as the kernel numbers them
};

}  // namespace banyan::kvm
