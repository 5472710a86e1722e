#include "cpu/interp/tlb.hpp"

namespace banyan::interp {

namespace {

constexpr uint64_t kLargePageMask = ~uint64_t{0x3FFFFFFF};  // 1 GiB, the largest

}  // namespace

void Tlb::flush() {
    if (!used_) return;
    for (unsigned i = 0; i < kEntries; ++i)
        entries_[i] = {absent(i), absent(i), 0, 0};
    used_ = false;
}

void Tlb::flush_page(uint64_t linear) {
    const unsigned own = index(linear);
    const uint64_t page = linear & ~(kPageSize - 1);
    if (entries_[own].read_tag == page) entries_[own] = {absent(own), absent(own), 0, 0};
    // Parts of a large page are cached as pages of 4 KiB; INVLPG must drop all of them (Intel SDM
    // vol. 3 section 4.10.4.1).
    for (unsigned i = 0; i < kEntries; ++i) {
        if (entries_[i].large != 0 && ((entries_[i].read_tag ^ linear) & kLargePageMask) == 0) {
            entries_[i] = {absent(i), absent(i), 0, 0};
        }
    }
}

void Tlb::drop_write_tags() {
    if (!used_) return;
    for (unsigned i = 0; i < kEntries; ++i)
        entries_[i].write_tag = absent(i);
}

}  // namespace banyan::interp
