// GuestMemory: the guest's RAM and ROM as regions of guest-physical addresses backed by host
// memory.
//
// Every access from outside an engine (devices, loaders, snapshots) goes through the checked
// functions here: an address that is not wholly inside RAM gives false or an empty span, never a
// crash. Each page carries flags, so that whoever must know of a write is told: an engine that
// holds decoded code of that page, and the dirty log.
//
// Threads: regions are added before vCPUs run and stay; everything else may be called from any
// thread. Guest memory is shared with running vCPUs: what is read here may change at once, so
// callers copy before they check.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "support/result.hpp"
#include "vm/address.hpp"

namespace banyan {

enum class MemoryKind : uint8_t { ram, rom };

// One contiguous range. `host` stays valid as long as the GuestMemory: whoever mapped it
// (host/linux: GuestRam) keeps it.
struct MemoryRegion {
    Gpa start;
    uint64_t size = 0;          // bytes, a multiple of kPageSize
    std::byte* host = nullptr;  // page-aligned
    MemoryKind kind = MemoryKind::ram;
    std::atomic<uint8_t>* page_flags = nullptr;  // one PageFlag set for each page

    Gpa end() const { return start + size; }
    bool contains(Gpa gpa, uint64_t length) const {
        return gpa >= start && gpa - start <= size && length <= size - (gpa - start);
    }
};

// What is to happen on a write to a page. An engine's TLB must not map a page writable without a
// check while any is set.
enum PageFlag : uint8_t {
    kPageHasCode = 1,   // an engine holds decoded code of this page: WriteObserver is called
    kPageLogDirty = 2,  // dirty logging is on and this page is still clean
};

// Told of writes to pages with kPageHasCode, by whichever thread wrote, after the bytes are in
// memory.
class WriteObserver {
public:
    virtual void on_code_page_written(Gpa gpa, uint64_t length) = 0;

protected:
    ~WriteObserver() = default;
};

class GuestMemory {
public:
    // Fails when the range is empty, unaligned, wraps, or overlaps another region.
    Result<void> add_region(Gpa start, std::span<std::byte> host, MemoryKind kind);

    // The region that holds gpa, or null.
    const MemoryRegion* find(Gpa gpa) const;
    std::span<const MemoryRegion> regions() const { return regions_; }

    // Copies. False when the range is not wholly inside one region (write: RAM), and then nothing
    // was copied.
    [[nodiscard]] bool read(Gpa gpa, std::span<std::byte> to) const;
    [[nodiscard]] bool write(Gpa gpa, std::span<const std::byte> from);

    // Copies to RAM or ROM: for loaders, before the guest runs.
    [[nodiscard]] bool load(Gpa gpa, std::span<const std::byte> from);

    template <class T>
    [[nodiscard]] bool read_object(Gpa gpa, T& object) const {
        static_assert(std::is_trivially_copyable_v<T>);
        return read(gpa, std::as_writable_bytes(std::span(&object, 1)));
    }
    template <class T>
    [[nodiscard]] bool write_object(Gpa gpa, const T& object) {
        static_assert(std::is_trivially_copyable_v<T>);
        return write(gpa, std::as_bytes(std::span(&object, 1)));
    }

    // Direct access for bulk transfers (disk, network buffers): the host bytes, or an empty span
    // when the range is not wholly inside one region (writable: RAM). After writing through
    // writable_range, call written().
    std::span<const std::byte> readable_range(Gpa gpa, uint64_t length) const;
    std::span<std::byte> writable_range(Gpa gpa, uint64_t length);
    void written(Gpa gpa, uint64_t length);

    // Engines hold decoded code: one observer for all vCPUs.
    void set_write_observer(WriteObserver* observer) { observer_ = observer; }
    void set_page_flag(Gpa gpa, PageFlag flag);
    void clear_page_flag(Gpa gpa, PageFlag flag);
    uint8_t page_flags(Gpa gpa) const;

    // Dirty logging. start marks every RAM page clean; take_dirty gives the pages written since and
    // marks them clean again. Engine::collect_dirty() comes before take_dirty(), and
    // Engine::drop_write_mappings() after both.
    void start_dirty_log();
    void stop_dirty_log();
    std::vector<Gpa> take_dirty();

private:
    std::vector<MemoryRegion> regions_;  // sorted by start
    std::vector<std::unique_ptr<std::atomic<uint8_t>[]>> flags_;
    std::atomic<bool> logging_dirty_{false};
    WriteObserver* observer_ = nullptr;
};

}  // namespace banyan
