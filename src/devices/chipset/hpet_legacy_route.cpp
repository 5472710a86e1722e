#include "devices/chipset/hpet_legacy_route.hpp"

namespace banyan {

void HpetLegacyRoute::set_irq(unsigned input, bool asserted) {
    MutexLock lock(mutex_);
    if (input >= levels_.size()) return;
    levels_[input] = asserted;
    const bool connected = (input >= kTimer0) == replaced_;
    if (connected) outputs_[input % outputs_.size()].set(asserted);
}

void HpetLegacyRoute::replace(bool on) {
    MutexLock lock(mutex_);
    if (replaced_ == on) return;
    replaced_ = on;
    const unsigned first = on ? kTimer0 : kPit;
    for (unsigned i = 0; i < outputs_.size(); ++i)
        outputs_[i].set(levels_[first + i]);
}

std::array<bool, 2> HpetLegacyRoute::legacy_levels() const {
    MutexLock lock(mutex_);
    return {levels_[kPit], levels_[kRtc]};
}

void HpetLegacyRoute::restore(std::array<bool, 2> legacy_levels, bool replaced) {
    MutexLock lock(mutex_);
    levels_ = {legacy_levels[0], legacy_levels[1], false, false};
    replaced_ = replaced;
}

}  // namespace banyan
