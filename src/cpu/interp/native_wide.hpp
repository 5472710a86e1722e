// Vector registers as AVX-512 has them, whose parts lie in two places of the Cpu.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

using WideVector = std::array<std::byte, 64>;

inline WideVector get_vector(const Cpu& cpu, unsigned number) {
    if (number >= 16) return cpu.avx512.high_zmm[number - 16];
    WideVector result;
    const auto rest = std::copy_n(cpu.vectors.ymm[number].begin(), 32, result.begin());
    std::copy_n(cpu.avx512.zmm_high[number].begin(), 32, rest);
    return result;
}

// What a VEX-encoded instruction does to a register that it writes.
inline void clear_zmm_high(Cpu& cpu, unsigned number) {
    if (cpu.avx512.zmm_high_in_use != 0) cpu.avx512.zmm_high[number] = {};
}

inline void put_vector(Cpu& cpu, unsigned number, const WideVector& value) {
    if (number >= 16) {
        cpu.avx512.high_zmm[number - 16] = value;
        return;
    }
    std::copy_n(value.begin(), 32, cpu.vectors.ymm[number].begin());
    std::copy_n(value.begin() + 32, 32, cpu.avx512.zmm_high[number].begin());
    cpu.avx512.zmm_high_in_use = 1;
}

}  // namespace banyan::interp
