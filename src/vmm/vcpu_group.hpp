// VcpuGroup: the threads that run a VM's vCPUs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "host/linux/vcpu_sleeper.hpp"
#include "vm/engine.hpp"

namespace banyan {

// Told, on the vCPU's thread, when a vCPU cannot go on: ExitReason::shutdown, internal_error or
// debug. The vCPU then waits for stop() or for pause() and resume().
class VcpuExitSink {
public:
    virtual void on_vcpu_exit(unsigned index, const Vcpu& vcpu, const Exit& exit) = 0;

protected:
    ~VcpuExitSink() = default;
};

// attach() each vCPU, then start(). start, pause, resume and stop by one thread, which is none of
// the vCPUs'; hold() by any. Destroying the group ends the threads.
class VcpuGroup {
public:
    VcpuGroup(unsigned count, VcpuExitSink& sink);
    ~VcpuGroup();
    VcpuGroup(const VcpuGroup&) = delete;
    VcpuGroup& operator=(const VcpuGroup&) = delete;

    VcpuWaker& waker(unsigned index) { return slots_[index].sleeper; }
    void attach(unsigned index, std::unique_ptr<Vcpu> vcpu) {
        slots_[index].vcpu = std::move(vcpu);
    }
    unsigned size() const { return static_cast<unsigned>(slots_.size()); }
    Vcpu& vcpu(unsigned index) { return *slots_[index].vcpu; }
    // As the host numbers it; 0 before it runs. From any thread.
    int thread_id(unsigned index) const { return slots_[index].thread_id; }

    void start();
    // Makes all vCPUs leave the guest soon, and not enter it before resume(). Does not wait.
    void hold();
    // hold(), and waits until no vCPU runs. Whoever pauses resumes: all goes on after the last.
    void pause();
    void resume();
    unsigned pauses() const { return pauses_; }
    // While throttled no vCPU runs, though nobody has paused it: time that the group does not get.
    // Does not wait. By any one thread.
    void throttle(bool held);
    // While paused: whether this vCPU is to stand still when the others go on.
    void keep_back(unsigned index, bool kept);
    void stop();

private:
    enum class Wanted : uint8_t { run, pause, stop };
    struct Slot {
        VcpuSleeper sleeper;
        std::unique_ptr<Vcpu> vcpu;
        std::thread thread;
        std::atomic<int> thread_id{0};
        bool kept_back = false;  // guarded by mutex_
    };

    void want(Wanted wanted);
    void interrupt_all();
    bool wanted_to_run() const { return wanted_.load(std::memory_order_acquire) == Wanted::run; }
    bool may_run() const { return wanted_to_run() && !throttled_.load(std::memory_order_acquire); }
    bool enter(const Slot& slot);
    void leave();
    void live(unsigned index);
    void run_while_wanted(unsigned index);
    void sleep_halted(Slot& slot);

    VcpuExitSink& sink_;
    std::vector<Slot> slots_;
    std::mutex mutex_;  // a leaf
    std::condition_variable changed_;
    std::atomic<Wanted> wanted_{Wanted::pause};  // changed with mutex_ held
    std::atomic<bool> throttled_{false};         // the same
    unsigned running_ = 0;
    unsigned pauses_ = 0;  // of the thread that pauses
};

}  // namespace banyan
