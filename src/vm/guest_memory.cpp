#include "vm/guest_memory.hpp"

#include <algorithm>
#include <cstring>

#include "support/bits.hpp"

namespace banyan {

Result<void> GuestMemory::add_region(Gpa start, std::span<std::byte> host, MemoryKind kind) {
    const uint64_t size = host.size();
    if (size == 0 || !is_aligned(size, kPageSize) || !is_aligned(start.value, kPageSize)) {
        return fail(ErrorCode::invalid_argument,
                    "add a memory region: start and size must be multiples of 4 KiB");
    }
    if (start.value + size < start.value) {
        return fail(ErrorCode::invalid_argument, "add a memory region: the range wraps around");
    }
    const auto overlaps = [&](const MemoryRegion& r) {
        return start < r.end() && r.start < start + size;
    };
    if (std::any_of(regions_.begin(), regions_.end(), overlaps)) {
        return fail(ErrorCode::invalid_argument, "add a memory region: the range is taken");
    }
    auto flags = std::make_unique<std::atomic<uint8_t>[]>(size / kPageSize);
    const MemoryRegion region{start, size, host.data(), kind, flags.get()};
    flags_.push_back(std::move(flags));
    const auto after = [](const MemoryRegion& a, const MemoryRegion& b) {
        return a.start < b.start;
    };
    regions_.insert(std::upper_bound(regions_.begin(), regions_.end(), region, after), region);
    return {};
}

const MemoryRegion* GuestMemory::find(Gpa gpa) const {
    for (const MemoryRegion& region : regions_) {
        if (region.contains(gpa, 1)) return &region;
    }
    return nullptr;
}

bool GuestMemory::read(Gpa gpa, std::span<std::byte> to) const {
    const auto from = readable_range(gpa, to.size());
    if (from.size() != to.size()) return false;
    if (!to.empty()) std::memcpy(to.data(), from.data(), to.size());
    return true;
}

bool GuestMemory::write(Gpa gpa, std::span<const std::byte> from) {
    const auto to = writable_range(gpa, from.size());
    if (to.size() != from.size()) return false;
    if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
    written(gpa, from.size());
    return true;
}

bool GuestMemory::load(Gpa gpa, std::span<const std::byte> from) {
    const MemoryRegion* region = find(gpa);
    if (region == nullptr || !region->contains(gpa, from.size())) return false;
    if (!from.empty()) std::memcpy(region->host + (gpa - region->start), from.data(), from.size());
    written(gpa, from.size());
    return true;
}

std::span<const std::byte> GuestMemory::readable_range(Gpa gpa, uint64_t length) const {
    const MemoryRegion* region = find(gpa);
    if (region == nullptr || !region->contains(gpa, length)) return {};
    return {region->host + (gpa - region->start), length};
}

std::span<std::byte> GuestMemory::writable_range(Gpa gpa, uint64_t length) {
    const MemoryRegion* region = find(gpa);
    if (region == nullptr || region->kind != MemoryKind::ram || !region->contains(gpa, length))
        return {};
    return {region->host + (gpa - region->start), length};
}

void GuestMemory::written(Gpa gpa, uint64_t length) {
    const MemoryRegion* region = find(gpa);
    if (region == nullptr || length == 0 || !region->contains(gpa, length)) return;
    // Who sets a flag reads the page afterwards. The bytes must be in memory before the flags are
    // looked at: else both could miss the other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const uint64_t first = (gpa - region->start) >> kPageShift;
    const uint64_t last = (gpa - region->start + length - 1) >> kPageShift;
    bool has_code = false;
    for (uint64_t page = first; page <= last; ++page) {
        const uint8_t flags = region->page_flags[page].load(std::memory_order_relaxed);
        if (flags == 0) continue;
        if ((flags & kPageLogDirty) != 0) {
            region->page_flags[page].fetch_and(static_cast<uint8_t>(~kPageLogDirty),
                                               std::memory_order_relaxed);
        }
        has_code |= (flags & kPageHasCode) != 0;
    }
    if (has_code && observer_ != nullptr) observer_->on_code_page_written(gpa, length);
}

void GuestMemory::set_page_flag(Gpa gpa, PageFlag flag) {
    if (const MemoryRegion* region = find(gpa)) {
        region->page_flags[(gpa - region->start) >> kPageShift].fetch_or(flag);
    }
}

void GuestMemory::clear_page_flag(Gpa gpa, PageFlag flag) {
    if (const MemoryRegion* region = find(gpa)) {
        region->page_flags[(gpa - region->start) >> kPageShift].fetch_and(
            static_cast<uint8_t>(~flag));
    }
}

uint8_t GuestMemory::page_flags(Gpa gpa) const {
    const MemoryRegion* region = find(gpa);
    return region == nullptr ? uint8_t{0}
                             : region->page_flags[(gpa - region->start) >> kPageShift].load();
}

void GuestMemory::start_dirty_log() {
    for (const MemoryRegion& region : regions_) {
        if (region.kind != MemoryKind::ram) continue;
        for (uint64_t page = 0; page < region.size / kPageSize; ++page) {
            region.page_flags[page].fetch_or(kPageLogDirty);
        }
    }
    logging_dirty_ = true;
}

void GuestMemory::stop_dirty_log() {
    logging_dirty_ = false;
    for (const MemoryRegion& region : regions_) {
        for (uint64_t page = 0; page < region.size / kPageSize; ++page) {
            region.page_flags[page].fetch_and(static_cast<uint8_t>(~kPageLogDirty));
        }
    }
}

std::vector<Gpa> GuestMemory::take_dirty() {
    std::vector<Gpa> dirty;
    if (!logging_dirty_) return dirty;
    for (const MemoryRegion& region : regions_) {
        if (region.kind != MemoryKind::ram) continue;
        for (uint64_t page = 0; page < region.size / kPageSize; ++page) {
            const uint8_t before = region.page_flags[page].fetch_or(kPageLogDirty);
            if ((before & kPageLogDirty) == 0) dirty.push_back(region.start + page * kPageSize);
        }
    }
    return dirty;
}

}  // namespace banyan
