// The guest's x87, SSE, AVX and AVX-512 state as memory images: the FXSAVE area and the XSAVE area
// that begins with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "arch/x86/register_state.hpp"
#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

// The standard format (Intel SDM vol. 1 section 13.4): everything, XSTATE_BV all set.
void pack_xsave(const Cpu& cpu, std::span<std::byte, x86::kXsaveSize> area);
// Components whose XSTATE_BV bit is clear get their initial state. Bits that no CPU would have set
// are dropped.
void unpack_xsave(Cpu& cpu, std::span<const std::byte, x86::kXsaveSize> area);

// Places in an area (Intel SDM vol. 1 table 10-2 and sections 13.4.1, 13.4.2).
inline constexpr size_t kMxcsrInArea = 24;
inline constexpr size_t kStInArea = 32;
inline constexpr size_t kXmmInArea = 160;
inline constexpr uint32_t kMxcsrMask = 0xFFFF;

template <class T>
T get_field(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof(value));
    return value;
}
template <class T>
void put_field(std::byte* at, T value) {
    std::memcpy(at, &value, sizeof(value));
}

// One component at a time, between `vectors` and an area. `wide`: with REX.W, pointers of the x87
// have 64 bits; otherwise 32 and selectors, which are zero on this CPU (CPUID.7.EBX bit 13).
// `registers`: 16, or 8 outside 64-bit mode.
void pack_x87(const Cpu::Vectors& vectors, std::byte* area, bool wide);
void unpack_x87(Cpu::Vectors& vectors, const std::byte* area, bool wide);
void init_x87(Cpu::Vectors& vectors);
void pack_mxcsr(const Cpu::Vectors& vectors, std::byte* area);
void pack_sse(const Cpu::Vectors& vectors, std::byte* area, unsigned registers);
void unpack_sse(Cpu::Vectors& vectors, const std::byte* area, unsigned registers);
void init_sse(Cpu::Vectors& vectors, unsigned registers);
void pack_avx(const Cpu::Vectors& vectors, std::byte* area, unsigned registers);
void unpack_avx(Cpu::Vectors& vectors, const std::byte* area, unsigned registers);
void init_avx(Cpu::Vectors& vectors, unsigned registers);
// Those of kXcr0Avx512 that `components` names. Outside 64-bit mode, ZMM16 to ZMM31 are left alone.
void pack_avx512(const Cpu::Avx512& state, uint64_t components, std::byte* area,
                 unsigned registers);
void unpack_avx512(Cpu::Avx512& state, uint64_t components, const std::byte* area,
                   unsigned registers);
void init_avx512(Cpu::Avx512& state, uint64_t components, unsigned registers);

// Which components (bits as in XCR0) are not in their initial state: XINUSE, Intel SDM vol. 1
// section 13.6.
uint64_t state_in_use(const Cpu::Vectors& vectors);
uint64_t avx512_state_in_use(const Cpu::Avx512& state);

}  // namespace banyan::interp
