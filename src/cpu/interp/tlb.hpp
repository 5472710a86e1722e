// The software TLB: linear page -> host memory, one direct-mapped table for each view of memory.
//
// A hit is one unsigned compare: `linear - tag <= kPageSize - size` holds only if the page is the
// entry's and the access does not leave the page. Whatever needs care (MMIO, code pages, dirty log,
// watchpoints, accessed and dirty bits not set yet) has no tag, and takes the slow path.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vm/address.hpp"

namespace banyan::interp {

// Who accesses. Explicit supervisor accesses use `supervisor` while SMAP is off or EFLAGS.AC is
// set.
enum class View : uint8_t { user, supervisor, supervisor_smap };
inline constexpr unsigned kViewCount = 3;

struct TlbEntry {
    uint64_t read_tag;
    uint64_t write_tag;
    uint64_t addend;  // host address = linear + addend
    uint64_t large;   // not 0: part of a large page
};

class Tlb {
public:
    static constexpr unsigned kEntries = 1024;

    Tlb() { flush(); }

    static unsigned index(uint64_t linear) { return (linear >> kPageShift) & (kEntries - 1); }

    // A tag that no address which selects entry `i` can match: a page of another index.
    static uint64_t absent(unsigned i) { return uint64_t{i ^ 1U} << kPageShift; }

    const TlbEntry& entry(uint64_t linear) const { return entries_[index(linear)]; }

    std::byte* readable(uint64_t linear, unsigned size) const {
        const TlbEntry& e = entry(linear);
        return linear - e.read_tag <= kPageSize - size ? host(e, linear) : nullptr;
    }
    std::byte* writable(uint64_t linear, unsigned size) const {
        const TlbEntry& e = entry(linear);
        return linear - e.write_tag <= kPageSize - size ? host(e, linear) : nullptr;
    }

    void insert(uint64_t linear, std::byte* host_page, bool writable, bool large) {
        TlbEntry& e = entries_[index(linear)];
        const uint64_t page = linear & ~(kPageSize - 1);
        const bool same =
            e.read_tag == page && e.addend == reinterpret_cast<uint64_t>(host_page) - page;
        e.read_tag = page;
        if (writable) {
            e.write_tag = page;
        } else if (!same) {
            e.write_tag = absent(index(linear));
        }
        e.addend = reinterpret_cast<uint64_t>(host_page) - page;
        e.large = large;
        used_ = true;
    }

    void flush();
    // Drops the page, and what is cached of a large page around it.
    void flush_page(uint64_t linear);
    void drop_write_tags();

private:
    static std::byte* host(const TlbEntry& e, uint64_t linear) {
        return reinterpret_cast<std::byte*>(linear + e.addend);
    }

    std::array<TlbEntry, kEntries> entries_;
    bool used_ = true;
};

}  // namespace banyan::interp
