#include "cpu/kvm/kvm_memory.hpp"

#include <bit>

#include "support/log.hpp"

namespace banyan::kvm {

namespace {

// Where no one waits for an answer.
void report(const Result<void>& done) {
    if (!done) LOG_ERROR("kvm", "%s", std::string(done.error().text()).c_str());
}

}  // namespace

KvmMemory::KvmMemory(const KvmHandle& vm, GuestMemory& memory) : vm_(vm), memory_(memory) {
    memory_.add_layout_observer(*this);
}

KvmMemory::~KvmMemory() {
    memory_.remove_layout_observer(*this);
}

Result<void> KvmMemory::map() {
    for (size_t slot = 0; slot < memory_.region_count(); ++slot) {
        if (const auto region = memory_.region(slot)) TRY(set_slot(slot, *region, false));
    }
    return {};
}

Result<void> KvmMemory::set_slot(size_t slot, const MemoryRegion& region, bool log) const {
    kvm_userspace_memory_region asked{.slot = static_cast<uint32_t>(slot),
                                      .flags = log ? uint32_t{KVM_MEM_LOG_DIRTY_PAGES} : 0U,
                                      .guest_phys_addr = region.start.value,
                                      .memory_size = region.size,
                                      .userspace_addr = reinterpret_cast<uintptr_t>(region.host)};
    if (region.kind == MemoryKind::rom) asked.flags = KVM_MEM_READONLY;
    TRY(vm_.demand_with(KVM_SET_USER_MEMORY_REGION, asked, "give the guest its memory"));
    return {};
}

// A slot of no size is none (KVM API 4.35).
void KvmMemory::remove_slot(size_t slot, const MemoryRegion& region) const {
    MemoryRegion nothing = region;
    nothing.size = 0;
    nothing.kind = MemoryKind::ram;
    report(set_slot(slot, nothing, false));
}

// KVM's slots must not overlap, and one that moves or changes its kind is made anew. A vCPU that
// accesses a place in between finds nothing there.
void KvmMemory::on_layout_changed(std::span<const Change> changes) {
    MutexLock lock(mutex_);
    for (const Change& change : changes) {
        if (!change.before) continue;
        if (logging_ && change.before->kind == MemoryKind::ram)
            collect_slot(change.index, *change.before);
        remove_slot(change.index, *change.before);
    }
    for (const Change& change : changes) {
        if (change.now) report(set_slot(change.index, *change.now, logging_));
    }
}

// Once it is on, KVM notices each first write after a collect() by itself.
void KvmMemory::start_log() {
    MutexLock lock(mutex_);
    if (logging_) return;
    for (size_t slot = 0; slot < memory_.region_count(); ++slot) {
        if (const auto region = memory_.region(slot)) report(set_slot(slot, *region, true));
    }
    logging_ = true;
}

void KvmMemory::collect() {
    MutexLock lock(mutex_);
    if (!logging_) return;
    for (size_t slot = 0; slot < memory_.region_count(); ++slot) {
        const auto region = memory_.region(slot);
        if (region && region->kind == MemoryKind::ram) collect_slot(slot, *region);
    }
}

// KVM_GET_DIRTY_LOG also marks what it tells as clean (KVM API 4.8).
void KvmMemory::collect_slot(size_t slot, const MemoryRegion& region) {
    bitmap_.assign((region.size / kPageSize + 63) / 64, 0);
    kvm_dirty_log log{};
    log.slot = static_cast<uint32_t>(slot);
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
