#include "cpu/interp/tlb.hpp"

namespace banyan::interp {

namespace {

constexpr uint64_t kLargePageMask = ~uint64_t{0x3FFFFFFF};  // 1 GiB, the largest

}  // namespace

void Tlb::insert(uint64_t linear, std::byte* host_page, Kind kind) {
    const unsigned i = index(linear);
    TlbEntry& e = entries_[i];
    const uint64_t page = linear & ~(kPageSize - 1);
    const bool same = e.read_tag == page && e.host == host_page;
    const bool was_writable = same && e.write_tag == page;
    e.read_tag = page;
    e.write_tag = kind.writable || was_writable ? page : absent(i);
    e.host = host_page;
    e.bits &= ~uint64_t{TlbEntry::kLarge};
    if (kind.large) {
        e.bits |= TlbEntry::kLarge;
        large_ |= large_bit(linear);
    }
    const TlbEntry::Bits logged = kind.global ? TlbEntry::kInGlobalLog : TlbEntry::kInLocalLog;
    if ((e.bits & logged) != 0) return;
    e.bits |= logged;
    (kind.global ? global_ : local_).push_back(static_cast<uint16_t>(i));
}

void Tlb::empty(Log& log, TlbEntry::Bits bit) {
    for (const uint16_t i : log) {
        clear(i);
        entries_[i].bits &= ~uint64_t{bit};
    }
    log.clear();
}

void Tlb::flush() {
    ++generation_;
    empty(global_, TlbEntry::kInGlobalLog);
    empty(local_, TlbEntry::kInLocalLog);
    large_ = 0;
}

// An entry that both a global and a local page have used goes, too: it is one page less in the
// table, no more.
void Tlb::flush_local() {
    ++generation_;
    empty(local_, TlbEntry::kInLocalLog);
}

void Tlb::flush_page(uint64_t linear) {
    ++generation_;
    const unsigned own = index(linear);
    const uint64_t page = linear & ~(kPageSize - 1);
    if (entries_[own].read_tag == page) clear(own);
    if ((large_ & large_bit(linear)) == 0) return;
    drop_large_around(global_, linear);
    drop_large_around(local_, linear);
}

// Parts of a large page are cached as pages of 4 KiB; INVLPG must drop all of them (Intel SDM vol.
// 3 section 4.10.4.1).
void Tlb::drop_large_around(Log& log, uint64_t linear) {
    for (const uint16_t i : log) {
        const TlbEntry& e = entries_[i];
        if ((e.bits & TlbEntry::kLarge) != 0 && ((e.read_tag ^ linear) & kLargePageMask) == 0)
            clear(i);
    }
}

void Tlb::drop_write_tags() {
    ++generation_;
    for (const Log* log : {&global_, &local_}) {
        for (const uint16_t i : *log)
            entries_[i].write_tag = absent(i);
    }
}

}  // namespace banyan::interp
