#include "vmm/vcpu_group.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "host/posix/threads.hpp"

namespace banyan {

VcpuGroup::VcpuGroup(unsigned count, VcpuExitSink& sink) : sink_(sink), slots_(count) {}

VcpuGroup::~VcpuGroup() {
    stop();
}

void VcpuGroup::start() {
    if (pauses_ == 0) want(Wanted::run);
    for (unsigned i = 0; i < size(); ++i) {
        slots_[i].thread =
            start_thread(ThreadKind::device, fmt::format("vcpu{}", i), [this, i] { live(i); });
    }
}

void VcpuGroup::hold() {
    want(Wanted::pause);
}

void VcpuGroup::pause() {
    ++pauses_;
    hold();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return running_ == 0; });
}

void VcpuGroup::resume() {
    if (--pauses_ == 0) want(Wanted::run);
}

void VcpuGroup::keep_back(unsigned index, bool kept) {
    const std::lock_guard lock(mutex_);
    slots_[index].kept_back = kept;
}

void VcpuGroup::stop() {
    want(Wanted::stop);
    for (Slot& slot : slots_) {
        if (slot.thread.joinable()) slot.thread.join();
    }
}

void VcpuGroup::want(Wanted wanted) {
    {
        const std::lock_guard lock(mutex_);
        if (wanted_ == Wanted::stop) return;
        wanted_.store(wanted, std::memory_order_release);
    }
    changed_.notify_all();
    if (wanted != Wanted::run) interrupt_all();
}

void VcpuGroup::throttle(bool held) {
    {
        const std::lock_guard lock(mutex_);
        throttled_.store(held, std::memory_order_release);
    }
    changed_.notify_all();
    if (held) interrupt_all();
}

void VcpuGroup::interrupt_all() {
    for (Slot& slot : slots_) {
        if (slot.vcpu != nullptr) slot.vcpu->kick();
        slot.sleeper.wake();
    }
}

// False when the thread is to end.
bool VcpuGroup::enter(const Slot& slot) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
        return wanted_ == Wanted::stop ||
               (wanted_ == Wanted::run && !throttled_ && !slot.kept_back);
    });
    if (wanted_ == Wanted::stop) return false;
    ++running_;
    return true;
}

void VcpuGroup::leave() {
    const std::lock_guard lock(mutex_);
    --running_;
    changed_.notify_all();
}

void VcpuGroup::live(unsigned index) {
    slots_[index].thread_id = ::gettid();
    while (enter(slots_[index])) {
        run_while_wanted(index);
        leave();
    }
}

void VcpuGroup::run_while_wanted(unsigned index) {
    Slot& slot = slots_[index];
    while (may_run()) {
        const Exit exit = slot.vcpu->run();
        switch (exit.reason) {
            case ExitReason::interrupted: break;
            case ExitReason::halted: sleep_halted(slot); break;
            case ExitReason::shutdown:
            case ExitReason::internal_error:
            case ExitReason::debug:
                sink_.on_vcpu_exit(index, *slot.vcpu, exit);
                while (wanted_to_run())
                    slot.sleeper.sleep();
                break;
        }
    }
}

void VcpuGroup::sleep_halted(Slot& slot) {
    while (may_run() && !slot.vcpu->has_work())
        slot.sleeper.sleep();
}

}  // namespace banyan
