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

#include "vm/address.hpp"

namespace banyan::interp {

// Who accesses. Explicit supervisor accesses use `supervisor` while SMAP is off or EFLAGS.AC is
// set.
enum class View : uint8_t { user, supervisor, supervisor_smap };
inline constexpr unsigned kViewCount = 3;

// One line of a host's cache holds two.
struct TlbEntry {
    uint64_t read_tag = 0;
    uint64_t write_tag = 0;
    std::byte* host = nullptr;  // where the page is
    uint64_t bits = 0;          // Bits

    enum Bits : uint64_t { kLarge = 1, kInGlobalLog = 2, kInLocalLog = 4 };
};

class Tlb {
public:
    static constexpr unsigned kEntries = 16384;

    Tlb() { clear(0); }

    static unsigned index(uint64_t linear) { return (linear >> kPageShift) & (kEntries - 1); }

    // A tag that no address which selects entry `i` can match: a page of another index.
    static uint64_t absent(unsigned i) { return i == 0 ? kPageSize : 0; }

    const TlbEntry& entry(uint64_t linear) const { return entries_[index(linear)]; }

    std::byte* readable(uint64_t linear, unsigned size) const {
        const TlbEntry& e = entry(linear);
        const uint64_t offset = linear - e.read_tag;
        return offset <= kPageSize - size ? e.host + offset : nullptr;
    }
    std::byte* writable(uint64_t linear, unsigned size) const {
        const TlbEntry& e = entry(linear);
        const uint64_t offset = linear - e.write_tag;
        return offset <= kPageSize - size ? e.host + offset : nullptr;
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

    // Changes whenever a translation that was here may have become untrue, or a page that could be
    // written may not be any more. Room made for another page does not count.
    uint64_t generation() const { return generation_; }

    // Of the members in a Tlb, for generated code.
    static constexpr size_t entries_offset();
    static constexpr size_t generation_offset();

private:
    // Which entries have been filled since they were last emptied; each is there once.
    using Log = std::vector<uint16_t>;

    void clear(unsigned i) {
        entries_[i].read_tag = entries_[i].write_tag = absent(i);
        entries_[i].bits &= ~uint64_t{TlbEntry::kLarge};
    }
    void empty(Log& log, TlbEntry::Bits bit);
    void drop_large_around(Log& log, uint64_t linear);
    static uint64_t large_bit(uint64_t linear) { return uint64_t{1} << ((linear >> 30) & 63U); }

    std::array<TlbEntry, kEntries> entries_{};
    Log global_;
    Log local_;
    uint64_t generation_ = 1;
    uint64_t large_ = 0;  // large_bit() of every large page that may have entries
};

constexpr size_t Tlb::entries_offset() {
    return offsetof(Tlb, entries_);
}
inline constexpr size_t kTlbEntriesAt = Tlb::entries_offset();

constexpr size_t Tlb::generation_offset() {
    return offsetof(Tlb, generation_);
}
inline constexpr size_t kTlbGenerationAt = Tlb::generation_offset();

}  // namespace banyan::interp
