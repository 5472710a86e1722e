#include "cpu/interp/native_x87_state.hpp"

#include <array>

namespace banyan::interp {

void X87State::set_control_and_status(uint16_t control, uint16_t status) {
    // Bit 6 reads as one; bits 7, 13 to 15 as zero.
    control = static_cast<uint16_t>((control & 0x1F3FU) | 0x40U);
    status &= static_cast<uint16_t>(~(kErrorSummary | kBusy));
    if ((status & ~control & kExceptions) != 0) status |= kErrorSummary | kBusy;
    put(0, control);
    put(2, status);
}

void X87State::initialise() {
    rotate_to(0);
    set_control_and_status(kInitialControl, 0);
    set_tags(0);
    set_pointers(0, 0, 0);
}

void X87State::rotate_to(unsigned new_top) {
    std::array<std::byte, 128> before;
    std::memcpy(before.data(), image_ + 32, before.size());
    const unsigned shift = new_top - top();
    for (unsigned i = 0; i < 8; ++i)
        std::memcpy(image_ + 32 + 16 * i, &before[16 * ((i + shift) & 7U)], 16);
    put(2, static_cast<uint16_t>((status() & ~0x3800U) | (new_top << 11)));
}

// Intel SDM vol. 1 section 8.1.7: 0 valid, 1 zero, 2 special.
unsigned X87State::classify(unsigned i) const {
    uint64_t significand;
    uint16_t exponent;
    std::memcpy(&significand, st(i).data(), sizeof(significand));
    std::memcpy(&exponent, st(i).data() + 8, sizeof(exponent));
    exponent &= 0x7FFF;
    if (exponent == 0 && significand == 0) return 1;
    if (exponent == 0 || exponent == 0x7FFF || (significand >> 63) == 0) return 2;
    return 0;
}

uint16_t X87State::full_tags() const {
    unsigned full = 0;
    for (unsigned physical = 0; physical < 8; ++physical) {
        const bool used = ((tags() >> physical) & 1U) != 0;
        full |= (used ? classify((physical - top()) & 7U) : 3U) << (2 * physical);
    }
    return static_cast<uint16_t>(full);
}

void X87State::set_full_tags(uint16_t full) {
    unsigned tags = 0;
    for (unsigned physical = 0; physical < 8; ++physical) {
        if (((full >> (2 * physical)) & 3U) != 3) tags |= 1U << physical;
    }
    set_tags(static_cast<uint8_t>(tags));
}

}  // namespace banyan::interp
