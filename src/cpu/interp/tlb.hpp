// The software TLB: linear page -> host memory, one direct-mapped table for each view of memory.
//
// A hit is one unsigned compare: `linear - tag <= kPageSize - size` holds only if the page is the
// entry's and the access does not leave the page. Whatever needs care (MMIO, code pages, dirty log,
// watchpoints, accessed and dirty bits not set yet) has no tag, and takes the slow path.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/interp/storage.hpp"
#include "vm/address.hpp"

namespace banyan::interp {

// Who accesses. Explicit supervisor accesses use `supervisor` while SMAP is off or EFLAGS.AC is
// set.
enum class View : uint8_t { user, supervisor, supervisor_smap };
inline constexpr unsigned kViewCount = 3;

enum class Access : uint8_t { read, write, fetch };

class Tlb {
public:
    static constexpr unsigned kEntries = 16384;

    explicit Tlb(Storage storage = Storage::any);

    static unsigned index(uint64_t linear) { return (linear >> kPageShift) & (kEntries - 1); }

    // A tag that no address which selects entry `i` can match: a page of another index.
    static uint64_t absent(unsigned i) { return i == 0 ? kPageSize : 0; }

    std::byte* readable(uint64_t linear, unsigned size) const {
        return find(read_tags_, linear, size);
    }
    std::byte* writable(uint64_t linear, unsigned size) const {
        return find(write_tags_, linear, size);
    }

    struct Kind {
        bool writable = false;
        bool large = false;
        bool global = false;
    };
    void insert(uint64_t linear, std::byte* host_page, Kind kind);

    void flush();
    // Global pages stay.
    void flush_local();
    // Drops the page, and what is cached of a large page around it.
    void flush_page(uint64_t linear);
    void drop_write_tags();
    // Those of one page of the host's, at whatever addresses.
    void drop_write_tags_of(const std::byte* host_page);

    // Changes whenever a translation that was here may have become untrue, or a page that could be
    // written may not be any more. Room made for another page does not count.
    uint64_t generation() const { return generation_; }

    // Where generated code finds what it needs: tables of kEntries of 64 bits, and the generation.
    struct Layout;

private:
    // Which entries have been filled since they were last emptied; each is there once.
    using Log = std::vector<uint16_t>;

    enum Bits : uint8_t { kLarge = 1, kInGlobalLog = 2, kInLocalLog = 4 };

    template <class T>
    using Table = std::array<T, kEntries>;

    std::byte* find(const Table<uint64_t>& tags, uint64_t linear, unsigned size) const {
        const unsigned i = index(linear);
        const uint64_t offset = linear - tags[i];
        return offset <= kPageSize - size ? pages_[i] + offset : nullptr;
    }
    void set_bit(unsigned i, Bits bit) { bits_[i] = static_cast<uint8_t>(bits_[i] | bit); }
    void clear_bit(unsigned i, Bits bit) { bits_[i] = static_cast<uint8_t>(bits_[i] & ~bit); }
    void clear(unsigned i) {
        read_tags_[i] = write_tags_[i] = absent(i);
        clear_bit(i, kLarge);
    }
    void empty(Log& log, Bits bit);
    void drop_large_around(Log& log, uint64_t linear);
    static uint64_t large_bit(uint64_t linear) { return uint64_t{1} << ((linear >> 30) & 63U); }

    // Apart, so that generated code can scale an index by 8 as it is.
    Table<uint64_t> read_tags_;
    Table<uint64_t> write_tags_;
    Table<std::byte*> pages_;  // where they are on the host
    Table<uint8_t> bits_;      // Bits
    Log global_;
    Log local_;
    uint64_t generation_ = 1;
    uint64_t large_ = 0;  // large_bit() of every large page that may have entries
};

struct Tlb::Layout {
    static constexpr size_t read_tags = offsetof(Tlb, read_tags_);
    static constexpr size_t write_tags = offsetof(Tlb, write_tags_);
    static constexpr size_t pages = offsetof(Tlb, pages_);
    static constexpr size_t generation = offsetof(Tlb, generation_);
};

}  // namespace banyan::interp
