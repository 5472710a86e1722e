// CpuThrottle: keeps the vCPUs of a VM to a rate of CPU time, where the host's scheduler does not.
//
// A thread of its own, which there is from the first rate on, looks every few milliseconds at what
// the vCPUs have used and holds them when it was too much (resources/cpu_budget.hpp). Devices and
// the guest's time go on meanwhile: to the guest it is as if the host had other things to do.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "resources/cpu_budget.hpp"
#include "vmm/vcpu_group.hpp"

namespace banyan {

class CpuThrottle {
public:
    // The group outlives it.
    explicit CpuThrottle(VcpuGroup& vcpus) : vcpus_(vcpus) {}
    ~CpuThrottle();
    CpuThrottle(const CpuThrottle&) = delete;
    CpuThrottle& operator=(const CpuThrottle&) = delete;

    // Microseconds of CPU time a second, of all vCPUs together; nothing: no rate. By one thread.
    void set_rate(std::optional<uint64_t> rate);
    // How long the vCPUs were held so far, in nanoseconds. From any thread.
    uint64_t held() const { return held_; }

private:
    bool is_a_rate(const std::optional<uint64_t>& rate) const;
    void live();
    void keep_to_rate(std::unique_lock<std::mutex>& lock);
    void hold(bool held, uint64_t now);
    uint64_t used() const;

    VcpuGroup& vcpus_;
    std::atomic<uint64_t> held_{0};
    std::mutex mutex_;  // takes the group's own under it
    std::condition_variable changed_;
    std::optional<uint64_t> rate_;  // these two guarded by mutex_
    bool ends_ = false;
    bool holds_ = false;  // these two of the thread alone
    uint64_t looked_at_ = 0;
    std::thread thread_;
};

}  // namespace banyan
