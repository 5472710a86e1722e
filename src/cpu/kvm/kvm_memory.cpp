#include "cpu/kvm/kvm_memory.hpp"

#include <bit>

#include "support/log.hpp"

namespace banyan::kvm {

Result<void> KvmMemory::map() {
    for (uint32_t slot = 0; slot < memory_.regions().size(); ++slot)
        TRY(set_slot(slot, 0));
    return {};
}

Result<void> KvmMemory::set_slot(uint32_t slot, uint32_t flags) const {
    const MemoryRegion& region = memory_.regions()[slot];
    if (region.kind == MemoryKind::rom) flags = KVM_MEM_READONLY;
    kvm_userspace_memory_region asked{.slot = slot,
                                      .flags = flags,
                                      .guest_phys_addr = region.start.value,
                                      .memory_size = region.size,
                                      .userspace_addr = reinterpret_cast<uintptr_t>(region.host)};
    TRY(vm_.demand_with(KVM_SET_USER_MEMORY_REGION, asked, "give the guest its memory"));
    return {};
}

// Once it is on, KVM notices each first write after a collect() by itself.
void KvmMemory::start_log() {
    MutexLock lock(mutex_);
    if (logging_) return;
    for (uint32_t slot = 0; slot < memory_.regions().size(); ++slot) {
        const auto set = set_slot(slot, KVM_MEM_LOG_DIRTY_PAGES);
        if (!set) LOG_ERROR("kvm", "%s", std::string(set.error().text()).c_str());
    }
    logging_ = true;
}

void KvmMemory::collect() {
    MutexLock lock(mutex_);
    if (!logging_) return;
    for (uint32_t slot = 0; slot < memory_.regions().size(); ++slot) {
        if (memory_.regions()[slot].kind == MemoryKind::ram) collect_slot(slot);
    }
}

// KVM_GET_DIRTY_LOG also marks what it tells as clean (KVM API 4.8).
void KvmMemory::collect_slot(uint32_t slot) {
    const MemoryRegion& region = memory_.regions()[slot];
    bitmap_.assign((region.size / kPageSize + 63) / 64, 0);
    kvm_dirty_log log{};
    log.slot = slot;
    log.dirty_bitmap = bitmap_.data();
    if (vm_.call_with(KVM_GET_DIRTY_LOG, log) < 0) return;
    for (size_t word = 0; word < bitmap_.size(); ++word) {
        for (uint64_t left = bitmap_[word]; left != 0; left &= left - 1) {
            const auto page = word * 64 + static_cast<size_t>(std::countr_zero(left));
            memory_.written(region.start + page * kPageSize, kPageSize);
        }
    }
}

}  // namespace banyan::kvm
