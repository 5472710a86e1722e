// KvmDirtyRing: the pages that one vCPU has written, as KVM tells them (KVM API 8.29,
// "KVM_CAP_DIRTY_LOG_RING"): a ring of entries that the kernel fills and this takes.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "cpu/kvm/kvm_uapi.hpp"

namespace banyan::kvm {

class KvmDirtyRing {
public:
    // Of each vCPU's. The kernel wants a power of two, and more than it keeps for itself (some
    // 600).
    static constexpr uint32_t kEntries = 4096;
    static constexpr uint32_t kBytes = kEntries * sizeof(kvm_dirty_gfn);

    // `entries` are shared with the kernel and outlive this.
    explicit KvmDirtyRing(std::span<kvm_dirty_gfn> entries) : entries_(entries) {}

    // Calls function(slot, page in it) for each entry that is there, at most for all of the ring;
    // says whether there were any. Entries are the kernel's again after KVM_RESET_DIRTY_RINGS. One
    // thread at a time.
    template <class Function>
    bool take(Function function) {
        size_t taken = 0;
        for (; taken < entries_.size(); ++taken) {
            kvm_dirty_gfn& entry = entries_[next_];
            std::atomic_ref<uint32_t> flags(entry.flags);
            if ((flags.load(std::memory_order_acquire) & KVM_DIRTY_GFN_F_DIRTY) == 0) break;
            function(entry.slot, entry.offset);
            flags.store(KVM_DIRTY_GFN_F_RESET, std::memory_order_release);
            next_ = (next_ + 1) % entries_.size();
        }
        return taken != 0;
    }

private:
    std::span<kvm_dirty_gfn> entries_;
    size_t next_ = 0;
};

}  // namespace banyan::kvm
