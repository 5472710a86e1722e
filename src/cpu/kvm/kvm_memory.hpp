// KvmMemory: the guest's memory as KVM's slots, and KVM's dirty log.
#pragma once

#include <vector>

#include "cpu/kvm/kvm_handle.hpp"
#include "support/mutex.hpp"
#include "support/result.hpp"
#include "vm/guest_memory.hpp"

namespace banyan::kvm {

class KvmMemory {
public:
    // Both outlive this.
    KvmMemory(const KvmHandle& vm, GuestMemory& memory) : vm_(vm), memory_(memory) {}

    // A slot for each region, by its place among them (KVM API 4.35). ROM is read only: a write to
    // it is an access outside of memory.
    Result<void> map();

    // From any thread: see Engine. Logging is on from the first start_log().
    void start_log();
    void collect();

private:
    Result<void> set_slot(uint32_t slot, uint32_t flags) const;
    void collect_slot(uint32_t slot) REQUIRES(mutex_);

    const KvmHandle& vm_;
    GuestMemory& memory_;
    Mutex mutex_;
    bool logging_ GUARDED_BY(mutex_) = false;
    std::vector<uint64_t> bitmap_ GUARDED_BY(mutex_);
};

}  // namespace banyan::kvm
