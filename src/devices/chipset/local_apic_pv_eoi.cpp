#include "devices/chipset/local_apic_pv_eoi.hpp"

namespace banyan {

namespace {

constexpr uint64_t kMisaligned = 0b10;  // the word is 4-byte aligned
constexpr uint32_t kSkipEoi = 1;        // bit 0 of the word

}  // namespace

bool PvEoi::write_msr(uint64_t msr) {
    if ((msr & kMisaligned) != 0) return false;
    if ((msr & kEnable) != 0 && memory_.writable_range({msr & ~kEnable}, sizeof(uint32_t)).empty())
        return false;
    msr_ = msr;
    return true;
}

void PvEoi::offer() {
    uint32_t value = 0;
    if (!memory_.read_object(word(), value)) return;
    offered_ = memory_.write_object(word(), value | kSkipEoi);
}

bool PvEoi::take_back() {
    offered_ = false;
    uint32_t value = 0;
    if (!memory_.read_object(word(), value)) return false;
    if ((value & kSkipEoi) == 0) return true;
    // Only a word that was written before: it can be written again.
    (void)memory_.write_object(word(), value & ~kSkipEoi);
    return false;
}

void PvEoi::reset() {
    msr_ = 0;
    offered_ = false;
}

bool PvEoi::restore(uint64_t msr, bool offered) {
    if (offered && (msr & kEnable) == 0) return false;
    if (!write_msr(msr)) return false;
    offered_ = offered;
    return true;
}

}  // namespace banyan
