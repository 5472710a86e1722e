// KvmMemory: the guest's memory as KVM's slots, and KVM's log of what vCPUs write: a ring for each
// of them where the kernel has that, else a bitmap for each slot.
#pragma once

#include <optional>
#include <vector>

#include "cpu/kvm/kvm_dirty_ring.hpp"
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

    // A slot for each part of memory (KVM API 4.35). ROM is read only: a write to it is an access
    // outside of memory.
    Result<void> map();
    void on_layout_changed(std::span<const Change> changes) override;

    // Before vCPUs are created: whether each is to have a ring, for add_ring(). It costs no more
    // than its memory until logging is on; then what a collect() costs goes by what was written,
    // not by the size of memory.
    bool enable_rings(const KvmHandle& system);
    void add_ring(std::span<kvm_dirty_gfn> entries);

    // From any thread: see Engine. Logging is on from the first start_log().
    void start_log();
    void collect();

private:
    using Slots = std::vector<std::optional<MemoryRegion>>;

    Result<void> set_slot(size_t slot, const MemoryRegion& region, bool log) const;
    void remove_slot(size_t slot) REQUIRES(mutex_);
    Result<void> add_slot(const MemoryRegion& region) REQUIRES(mutex_);
    void collect_rings() REQUIRES(mutex_);
    void tell_written(const MemoryRegion& region, uint64_t page);
    void collect_slot(size_t slot) REQUIRES(mutex_);

    const KvmHandle& vm_;
    GuestMemory& memory_;
    Mutex mutex_;
    Slots slots_ GUARDED_BY(mutex_);  // as the kernel has them
    bool logging_ GUARDED_BY(mutex_) = false;
    std::vector<KvmDirtyRing> rings_ GUARDED_BY(mutex_);  // none: bitmaps
    std::vector<uint64_t> bitmap_ GUARDED_BY(mutex_);
};

}  // namespace banyan::kvm
