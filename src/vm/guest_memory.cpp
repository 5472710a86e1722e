#include "vm/guest_memory.hpp"

#include <algorithm>
#include <cstring>

#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

Result<void> check_range(uint64_t start, uint64_t size) {
    if (size == 0 || !is_aligned(size, kPageSize) || !is_aligned(start, kPageSize)) {
        return fail(ErrorCode::invalid_argument,
                    "add a memory region: start and size must be multiples of 4 KiB");
    }
    if (start + size < start) {
        return fail(ErrorCode::invalid_argument, "add a memory region: the range wraps around");
    }
    return {};
}

MemoryRegion part_of(const MemoryRegion& region, Gpa start, Gpa end) {
    const uint64_t skipped = start - region.start;
    return {start, end - start, region.host + skipped, region.kind,
            region.page_flags + (skipped >> kPageShift)};
}

// What `other` leaves of these.
std::vector<MemoryRegion> without(const std::vector<MemoryRegion>& parts,
                                  const MemoryRegion& other) {
    std::vector<MemoryRegion> left;
    for (const MemoryRegion& part : parts) {
        const Gpa before = std::clamp(other.start, part.start, part.end());
        const Gpa behind = std::clamp(other.end(), part.start, part.end());
        if (part.start < before) left.push_back(part_of(part, part.start, before));
        if (behind < part.end()) left.push_back(part_of(part, behind, part.end()));
    }
    return left;
}

}  // namespace

std::atomic<uint8_t>* GuestMemory::make_flags(uint64_t size) {
    flags_.push_back(std::make_unique<std::atomic<uint8_t>[]>(size / kPageSize));
    return flags_.back().get();
}

Result<void> GuestMemory::add_region(Gpa start, std::span<std::byte> host, MemoryKind kind) {
    const uint64_t size = host.size();
    TRY(check_range(start.value, size));
    for (const MemoryRegion& r : regions()) {
        if (start < r.end() && r.start < start + size)
            return fail(ErrorCode::invalid_argument, "add a memory region: the range is taken");
    }
    entries_.push_back(std::make_unique<Entry>());
    store(*entries_.back(), MemoryRegion{start, size, host.data(), kind, make_flags(size)});
    return {};
}

Result<GuestMemory::WindowId> GuestMemory::add_window(std::span<std::byte> host, unsigned places) {
    TRY(check_range(0, host.size()));
    windows_.push_back({host, make_flags(host.size()), entries_.size(), places});
    for (unsigned i = 0; i < places; ++i)
        entries_.push_back(std::make_unique<Entry>());
    MutexLock lock(layout_mutex_);
    changes_.reserve(entries_.size());
    return static_cast<WindowId>(windows_.size() - 1);
}

void GuestMemory::place_window(WindowId id, std::span<const WindowPlace> places) {
    const Window& window = windows_[id];
    BANYAN_ASSERT(places.size() <= window.entry_count);
    MutexLock lock(layout_mutex_);
    changes_.clear();
    layout_version_.fetch_add(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (size_t i = 0; i < window.entry_count; ++i) {
        std::optional<MemoryRegion> region;
        if (i < places.size()) {
            const WindowPlace& place = places[i];
            BANYAN_ASSERT(place.offset <= window.host.size() &&
                          place.size <= window.host.size() - place.offset);
            region = MemoryRegion{place.start, place.size, window.host.data() + place.offset,
                                  place.kind, window.page_flags + (place.offset >> kPageShift)};
        }
        change(window.first_entry + i, region);
    }
    layout_version_.fetch_add(1, std::memory_order_release);
    if (changes_.empty()) return;
    for (LayoutObserver* observer : layout_observers_)
        observer->on_layout_changed(changes_);
}

void GuestMemory::add_layout_observer(LayoutObserver& observer) {
    MutexLock lock(layout_mutex_);
    layout_observers_.push_back(&observer);
}

void GuestMemory::remove_layout_observer(LayoutObserver& observer) {
    MutexLock lock(layout_mutex_);
    std::erase(layout_observers_, &observer);
}

void GuestMemory::change(size_t index, const std::optional<MemoryRegion>& region) {
    const auto before = load(*entries_[index]);
    const auto same = [](const MemoryRegion& a, const MemoryRegion& b) {
        return a.start == b.start && a.size == b.size && a.host == b.host && a.kind == b.kind;
    };
    if (before.has_value() == region.has_value() && (!before || same(*before, *region))) return;
    store(*entries_[index], region);
    changes_.push_back({before, region});
}

std::optional<MemoryRegion> GuestMemory::load(const Entry& entry) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    const uint64_t size = entry.size.load(kRelaxed);
    if (size == 0) return std::nullopt;
    return MemoryRegion{Gpa{entry.start.load(kRelaxed)}, size, entry.host.load(kRelaxed),
                        entry.kind.load(kRelaxed), entry.page_flags.load(kRelaxed)};
}

void GuestMemory::store(Entry& entry, const std::optional<MemoryRegion>& region) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    entry.size.store(region ? region->size : 0, kRelaxed);
    if (!region) return;
    entry.start.store(region->start.value, kRelaxed);
    entry.host.store(region->host, kRelaxed);
    entry.kind.store(region->kind, kRelaxed);
    entry.page_flags.store(region->page_flags, kRelaxed);
}

// Boehm, "Can seqlocks get along with programming language memory models?" (MSPC 2012), section 4.
template <class Function>
auto GuestMemory::consistent(Function read) const {
    for (;;) {
        const uint32_t before = layout_version_.load(std::memory_order_acquire);
        auto result = read();
        std::atomic_thread_fence(std::memory_order_acquire);
        const bool unchanged = layout_version_.load(std::memory_order_relaxed) == before;
        if (before % 2 == 0 && unchanged) return result;
    }
}

std::optional<MemoryRegion> GuestMemory::look_up(Gpa gpa) const {
    for (const auto& entry : entries_) {
        const uint64_t start = entry->start.load(std::memory_order_relaxed);
        if (gpa.value - start < entry->size.load(std::memory_order_relaxed)) return load(*entry);
    }
    return std::nullopt;
}

std::optional<MemoryRegion> GuestMemory::find(Gpa gpa) const {
    return consistent([&] { return look_up(gpa); });
}

std::vector<MemoryRegion> GuestMemory::regions() const {
    return consistent([&] {
        std::vector<MemoryRegion> seen;
        for (const auto& entry : entries_) {
            if (const auto region = load(*entry)) seen.push_back(*region);
        }
        return seen;
    });
}

std::vector<MemoryRegion> GuestMemory::flat_view() const {
    std::vector<MemoryRegion> seen;
    for (const MemoryRegion& region : regions()) {
        std::vector<MemoryRegion> parts{region};
        for (const MemoryRegion& earlier : seen)
            parts = without(parts, earlier);
        seen.insert(seen.end(), parts.begin(), parts.end());
    }
    std::ranges::sort(seen, {}, &MemoryRegion::start);
    return seen;
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
    const auto region = find(gpa);
    if (!region || !region->contains(gpa, from.size())) return false;
    if (!from.empty()) std::memcpy(region->host + (gpa - region->start), from.data(), from.size());
    written(gpa, from.size());
    return true;
}

std::span<const std::byte> GuestMemory::readable_range(Gpa gpa, uint64_t length) const {
    const auto region = find(gpa);
    if (!region || !region->contains(gpa, length)) return {};
    return {region->host + (gpa - region->start), length};
}

std::span<std::byte> GuestMemory::writable_range(Gpa gpa, uint64_t length) {
    const auto region = find(gpa);
    if (!region || region->kind != MemoryKind::ram || !region->contains(gpa, length)) return {};
    return {region->host + (gpa - region->start), length};
}

void GuestMemory::written(Gpa gpa, uint64_t length) {
    const auto region = find(gpa);
    if (!region || length == 0 || !region->contains(gpa, length)) return;
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
    if (const auto region = find(gpa)) {
        region->page_flags[(gpa - region->start) >> kPageShift].fetch_or(flag);
    }
}

void GuestMemory::clear_page_flag(Gpa gpa, PageFlag flag) {
    if (const auto region = find(gpa)) {
        region->page_flags[(gpa - region->start) >> kPageShift].fetch_and(
            static_cast<uint8_t>(~flag));
    }
}

uint8_t GuestMemory::page_flags(Gpa gpa) const {
    const auto region = find(gpa);
    return !region ? uint8_t{0} : region->page_flags[(gpa - region->start) >> kPageShift].load();
}

void GuestMemory::start_dirty_log() {
    for (const MemoryRegion& region : regions()) {
        if (region.kind != MemoryKind::ram) continue;
        for (uint64_t page = 0; page < region.size / kPageSize; ++page) {
            region.page_flags[page].fetch_or(kPageLogDirty);
        }
    }
    logging_dirty_ = true;
}

void GuestMemory::stop_dirty_log() {
    logging_dirty_ = false;
    for (const MemoryRegion& region : regions()) {
        for (uint64_t page = 0; page < region.size / kPageSize; ++page) {
            region.page_flags[page].fetch_and(static_cast<uint8_t>(~kPageLogDirty));
        }
    }
}

std::vector<Gpa> GuestMemory::take_dirty() {
    std::vector<Gpa> dirty;
    if (!logging_dirty_) return dirty;
    for (const MemoryRegion& region : regions()) {
        if (region.kind != MemoryKind::ram) continue;
        for (uint64_t page = 0; page < region.size / kPageSize; ++page) {
            const uint8_t before = region.page_flags[page].fetch_or(kPageLogDirty);
            if ((before & kPageLogDirty) == 0) dirty.push_back(region.start + page * kPageSize);
        }
    }
    return dirty;
}

}  // namespace banyan
