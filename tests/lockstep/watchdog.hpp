// Watchdog: kicks a vCPU when its time is up, while this object lives.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "vm/engine.hpp"

namespace banyan::lockstep {

class Watchdog {
public:
    Watchdog(Vcpu& vcpu, std::chrono::milliseconds time)
        : thread_([this, &vcpu, time] { watch(vcpu, time); }) {}
    ~Watchdog() {
        {
            const std::lock_guard lock(mutex_);
            done_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    bool expired() const { return expired_.load(); }

private:
    void watch(Vcpu& vcpu, std::chrono::milliseconds time) {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, time, [this] { return done_; })) return;
        expired_ = true;
        vcpu.kick();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool done_ = false;
    std::atomic<bool> expired_{false};
    std::thread thread_;  // the last: it uses the others
};

}  // namespace banyan::lockstep
