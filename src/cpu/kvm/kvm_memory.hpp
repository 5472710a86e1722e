// KvmMemory: the guest's memory as KVM's slots, and KVM's dirty log.
#pragma once

#include <vector>

#include "cpu/kvm/kvm_handle.hpp"
#include "support/mutex.hpp"
#include "support/result.hpp"
#include "vm/guest_memory.hpp"

namespace banyan::kvm {

class KvmMemory final : public LayoutObserver {
public:
    // Both outlive this.
    KvmMemory(const KvmHandle& vm, GuestMemory& memory);
    ~KvmMemory();
    KvmMemory(const KvmMemory&) = delete;
    KvmMemory& operator=(const KvmMemory&) = delete;

    // A slot for each region, by its place among them (KVM API 4.35). ROM is read only: a write to
    // it is an access outside of memory.
    Result<void> map();
    void on_layout_changed(std::span<const Change> changes) override;

    // From any thread: see Engine. Logging is on from the first start_log().
    void start_log();
    void collect();

private:
    Result<void> set_slot(size_t slot, const MemoryRegion& region, bool log) const;
    void remove_slot(size_t slot, const MemoryRegion& region) const;
    void collect_slot(size_t slot, const MemoryRegion& region) REQUIRES(mutex_);

    const KvmHandle& vm_;
    GuestMemory& memory_;
    Mutex mutex_;
    bool logging_ GUARDED_BY(mutex_) = false;
    std::vector<uint64_t> bitmap_ GUARDED_BY(mutex_);
};

}  // namespace banyan::kvm
