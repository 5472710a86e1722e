// GuestMemory: the guest's RAM and ROM as regions of guest-physical addresses backed by host
// memory.
//
// Every access from outside an engine (devices, loaders, snapshots) goes through the checked
// functions here: an address that is not wholly inside RAM gives false or an empty span, never a
// crash. Each page carries flags, so that whoever must know of a write is told: an engine that
// holds decoded code of that page, and the dirty log.
//
// Most regions stay where they are. Windows are regions that the guest moves, switches off or makes
// read-only while it runs: shadow RAM, flash, a display's memory. The host memory behind them stays
// for as long as the GuestMemory, so that an access which was on its way while a window moved
// reaches old memory, never none.
//
// Threads: regions and windows are added before vCPUs run; everything else may be called from any
// thread. Guest memory is shared with running vCPUs: what is read here may change at once, so
// callers copy before they check.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "support/mutex.hpp"
#include "support/result.hpp"
#include "vm/address.hpp"

namespace banyan {

enum class MemoryKind : uint8_t { ram, rom };

// One contiguous range, as it was when it was asked for. `host` stays valid as long as the
// GuestMemory: whoever mapped it (host/linux: GuestRam) keeps it.
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

// What a window shows where. All are multiples of kPageSize.
struct WindowPlace {
    Gpa start;
    uint64_t offset = 0;  // into the window's memory
    uint64_t size = 0;
    MemoryKind kind = MemoryKind::ram;

    friend bool operator==(const WindowPlace&, const WindowPlace&) = default;
};

// Told of regions that come, go or change, by the thread that changed them; one change at a time.
class LayoutObserver {
public:
    struct Change {
        std::optional<MemoryRegion> before;
        std::optional<MemoryRegion> now;
    };
    // GuestMemory shows `now` already.
    virtual void on_layout_changed(std::span<const Change> changes) = 0;

protected:
    ~LayoutObserver() = default;
};

class GuestMemory {
public:
    GuestMemory() = default;
    GuestMemory(const GuestMemory&) = delete;
    GuestMemory& operator=(const GuestMemory&) = delete;

    // Fails when the range is empty, unaligned, wraps, or overlaps another region.
    Result<void> add_region(Gpa start, std::span<std::byte> host, MemoryKind kind);

    // A window onto `host`, of which up to `places` parts can be seen at a time, and none yet. It
    // is named by what this gives. Where regions overlap, those that were added earlier are seen.
    using WindowId = unsigned;
    Result<WindowId> add_window(std::span<std::byte> host, unsigned places);
    // From now on the window shows these parts and no others. From any thread, but not from within
    // an observer.
    void place_window(WindowId window, std::span<const WindowPlace> places);

    // The region that holds gpa.
    std::optional<MemoryRegion> find(Gpa gpa) const;
    // Those that are to be seen, in the order in which they were added.
    std::vector<MemoryRegion> regions() const;
    // What is seen where: parts of regions that do not overlap, in the order of their addresses.
    std::vector<MemoryRegion> flat_view() const;
    void add_layout_observer(LayoutObserver& observer);
    void remove_layout_observer(LayoutObserver& observer);

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
    // A region that readers may meet while it changes. `size` is 0 where nothing is to be seen.
    struct Entry {
        std::atomic<uint64_t> start{0};
        std::atomic<uint64_t> size{0};
        std::atomic<std::byte*> host{nullptr};
        std::atomic<MemoryKind> kind{MemoryKind::ram};
        std::atomic<std::atomic<uint8_t>*> page_flags{nullptr};
    };
    struct Window {
        std::span<std::byte> host;
        std::atomic<uint8_t>* page_flags = nullptr;
        size_t first_entry = 0;
        size_t entry_count = 0;
    };

    static std::optional<MemoryRegion> load(const Entry& entry);
    static void store(Entry& entry, const std::optional<MemoryRegion>& region);
    std::optional<MemoryRegion> look_up(Gpa gpa) const;
    std::atomic<uint8_t>* make_flags(uint64_t size);
    // What `read` gives of the entries while nobody changes them.
    template <class Function>
    auto consistent(Function read) const;
    void change(size_t index, const std::optional<MemoryRegion>& region) REQUIRES(layout_mutex_);

    std::vector<std::unique_ptr<Entry>> entries_;
    std::vector<Window> windows_;
    std::vector<std::unique_ptr<std::atomic<uint8_t>[]>> flags_;
    // Odd while entries change: readers try again (a seqlock).
    std::atomic<uint32_t> layout_version_{0};
    Mutex layout_mutex_;
    std::vector<LayoutObserver::Change> changes_ GUARDED_BY(layout_mutex_);  // of one call
    std::atomic<bool> logging_dirty_{false};
    WriteObserver* observer_ = nullptr;
    std::vector<LayoutObserver*> layout_observers_ GUARDED_BY(layout_mutex_);
};

}  // namespace banyan
