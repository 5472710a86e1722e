#include "cpu/interp/tlb.hpp"

namespace banyan::interp {

namespace {

constexpr uint64_t kLargePageMask = ~uint64_t{0x3FFFFFFF};  // 1 GiB, the largest

}  // namespace

Tlb::Tlb(Storage storage) {
    if (storage == Storage::any) {
        read_tags_.fill(0);
        write_tags_.fill(0);
        pages_.fill(nullptr);
        bits_.fill(0);
    }
    clear(0);  // the only entry whose absent() is not 0
}

void Tlb::insert(uint64_t linear, std::byte* host_page, Kind kind) {
    const unsigned i = index(linear);
    const uint64_t page = linear & ~(kPageSize - 1);
    const bool same = read_tags_[i] == page && pages_[i] == host_page;
    const bool was_writable = same && write_tags_[i] == page;
    read_tags_[i] = page;
    write_tags_[i] = kind.writable || was_writable ? page : absent(i);
    pages_[i] = host_page;
    clear_bit(i, kLarge);
    if (kind.large) {
        set_bit(i, kLarge);
        large_ |= large_bit(linear);
    }
    const Bits logged = kind.global ? kInGlobalLog : kInLocalLog;
    if ((bits_[i] & logged) != 0) return;
    set_bit(i, logged);
    (kind.global ? global_ : local_).push_back(static_cast<uint16_t>(i));
}

void Tlb::empty(Log& log, Bits bit) {
    for (const uint16_t i : log) {
        clear(i);
        clear_bit(i, bit);
    }
    log.clear();
}

void Tlb::flush() {
    ++generation_;
    empty(global_, kInGlobalLog);
    empty(local_, kInLocalLog);
    large_ = 0;
}

// An entry that both a global and a local page have used goes, too: it is one page less in the
// table, no more.
void Tlb::flush_local() {
    ++generation_;
    empty(local_, kInLocalLog);
}

void Tlb::flush_page(uint64_t linear) {
    ++generation_;
    const unsigned own = index(linear);
    const uint64_t page = linear & ~(kPageSize - 1);
    if (read_tags_[own] == page) clear(own);
    if ((large_ & large_bit(linear)) == 0) return;
    drop_large_around(global_, linear);
    drop_large_around(local_, linear);
}

// Parts of a large page are cached as pages of 4 KiB; INVLPG must drop all of them (Intel SDM vol.
// 3 section 4.10.4.1).
void Tlb::drop_large_around(Log& log, uint64_t linear) {
    for (const uint16_t i : log) {
        if ((bits_[i] & kLarge) != 0 && ((read_tags_[i] ^ linear) & kLargePageMask) == 0) clear(i);
    }
}

void Tlb::drop_write_tags() {
    ++generation_;
    for (const Log* log : {&global_, &local_}) {
        for (const uint16_t i : *log)
            write_tags_[i] = absent(i);
    }
}

void Tlb::drop_write_tags_of(const std::byte* host_page) {
    for (const Log* log : {&global_, &local_}) {
        for (const uint16_t i : *log) {
            if (pages_[i] != host_page || write_tags_[i] == absent(i)) continue;
            write_tags_[i] = absent(i);
            ++generation_;
        }
    }
}

}  // namespace banyan::interp
