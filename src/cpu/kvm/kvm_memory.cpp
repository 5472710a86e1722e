#include "cpu/kvm/kvm_memory.hpp"

#include <bit>

#include "support/log.hpp"

namespace banyan::kvm {

namespace {

// Where no one waits for an answer.
void report(const Result<void>& done) {
    if (!done) LOG_ERROR("kvm", "%s", std::string(done.error().text()).c_str());
}

bool is_same(const MemoryRegion& a, const MemoryRegion& b) {
    return a.start == b.start && a.size == b.size && a.host == b.host && a.kind == b.kind;
}

}  // namespace

KvmMemory::KvmMemory(const KvmHandle& vm, GuestMemory& memory) : vm_(vm), memory_(memory) {
    memory_.add_layout_observer(*this);
}

KvmMemory::~KvmMemory() {
    memory_.remove_layout_observer(*this);
}

Result<void> KvmMemory::map() {
    MutexLock lock(mutex_);
    for (const MemoryRegion& part : memory_.flat_view())
        TRY(add_slot(part));
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

Result<void> KvmMemory::add_slot(const MemoryRegion& region) {
    size_t slot = 0;
    while (slot < slots_.size() && slots_[slot])
        ++slot;
    TRY(set_slot(slot, region, logging_));
    if (slot == slots_.size()) slots_.emplace_back();
    slots_[slot] = region;
    return {};
}

// A slot of no size is none (KVM API 4.35).
void KvmMemory::remove_slot(size_t slot) {
    if (logging_ && rings_.empty()) collect_slot(slot);
    MemoryRegion nothing = *slots_[slot];
    nothing.size = 0;
    nothing.kind = MemoryKind::ram;
    report(set_slot(slot, nothing, false));
    slots_[slot].reset();
}

// KVM's slots must not overlap, as windows do while they are changed one after the other, and one
// that moves or changes its kind is made anew. A vCPU that accesses a place in between finds
// nothing there.
void KvmMemory::on_layout_changed(std::span<const Change> /*changes*/) {
    MutexLock lock(mutex_);
    if (logging_ && !rings_.empty()) collect_rings();
    std::vector<MemoryRegion> parts = memory_.flat_view();
    for (size_t slot = 0; slot < slots_.size(); ++slot) {
        if (!slots_[slot]) continue;
        const bool stays = std::erase_if(parts, [&](const MemoryRegion& part) {
                               return is_same(part, *slots_[slot]);
                           }) != 0;
        if (!stays) remove_slot(slot);
    }
    for (const MemoryRegion& part : parts)
        report(add_slot(part));
}

// Once it is on, KVM notices each first write after a collect() by itself.
void KvmMemory::start_log() {
    MutexLock lock(mutex_);
    if (logging_) return;
    for (size_t slot = 0; slot < slots_.size(); ++slot) {
        if (slots_[slot]) report(set_slot(slot, *slots_[slot], true));
    }
    logging_ = true;
}

void KvmMemory::collect() {
    MutexLock lock(mutex_);
    if (!logging_) return;
    if (!rings_.empty()) return collect_rings();
    for (size_t slot = 0; slot < slots_.size(); ++slot)
        collect_slot(slot);
}

// KVM_GET_DIRTY_LOG also marks what it tells as clean (KVM API 4.8).
void KvmMemory::collect_slot(size_t slot) {
    if (!slots_[slot] || slots_[slot]->kind != MemoryKind::ram) return;
    const MemoryRegion region = *slots_[slot];
    bitmap_.assign((region.size / kPageSize + 63) / 64, 0);
    kvm_dirty_log log{};
    log.slot = static_cast<uint32_t>(slot);
    log.dirty_bitmap = bitmap_.data();
    if (vm_.call_with(KVM_GET_DIRTY_LOG, log) < 0) return;
    for (size_t word = 0; word < bitmap_.size(); ++word) {
        for (uint64_t left = bitmap_[word]; left != 0; left &= left - 1) {
            const auto page = word * 64 + static_cast<size_t>(std::countr_zero(left));
            tell_written(region, page);
        }
    }
}

void KvmMemory::tell_written(const MemoryRegion& region, uint64_t page) {
    if (page < region.size / kPageSize) memory_.written(region.start + page * kPageSize, kPageSize);
}

bool KvmMemory::enable_rings(const KvmHandle& system) {
    if (system.capability(KVM_CAP_DIRTY_LOG_RING) < static_cast<int>(KvmDirtyRing::kBytes))
        return false;
    kvm_enable_cap rings{};
    rings.cap = KVM_CAP_DIRTY_LOG_RING;
    rings.args[0] = KvmDirtyRing::kBytes;
    return vm_.call_with(KVM_ENABLE_CAP, rings) >= 0;
}

void KvmMemory::add_ring(std::span<kvm_dirty_gfn> entries) {
    MutexLock lock(mutex_);
    rings_.emplace_back(entries);
}

// Before slots change: an entry's slot is the one that has its number. KVM_RESET_DIRTY_RINGS
// notices the next write to the same pages again (KVM API 8.29).
void KvmMemory::collect_rings() {
    const Slots& slots = slots_;
    bool any = false;
    for (KvmDirtyRing& ring : rings_) {
        any |= ring.take([this, &slots](uint32_t slot, uint64_t page) {
            if (slot < slots.size() && slots[slot]) tell_written(*slots[slot], page);
        });
    }
    if (any) vm_.call(KVM_RESET_DIRTY_RINGS, 0);
}

}  // namespace banyan::kvm
