// Where generated code finds guest state: displacements from a Cpu.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

// Cpu has references among its members and so is no standard-layout type, for which alone
// offsetof() is promised; both compilers define it for every class without virtual bases.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

inline constexpr int32_t kGprAt = offsetof(Cpu, gpr);
inline constexpr int32_t kArithAt = offsetof(Cpu, arith);
inline constexpr int32_t kFxsaveAt = offsetof(Cpu, vectors) + offsetof(Cpu::Vectors, fxsave);
inline constexpr int32_t kYmmAt = offsetof(Cpu, vectors) + offsetof(Cpu::Vectors, ymm);
inline constexpr int32_t kMxcsrAt = offsetof(Cpu, vectors) + offsetof(Cpu::Vectors, mxcsr);

inline constexpr int32_t kZmmHighAt = offsetof(Cpu, avx512) + offsetof(Cpu::Avx512, zmm_high);
inline constexpr int32_t kHighZmmAt = offsetof(Cpu, avx512) + offsetof(Cpu::Avx512, high_zmm);
inline constexpr int32_t kOpmaskAt = offsetof(Cpu, avx512) + offsetof(Cpu::Avx512, k);
inline constexpr int32_t kZmmHighInUseAt =
    offsetof(Cpu, avx512) + offsetof(Cpu::Avx512, zmm_high_in_use);

inline constexpr int32_t kLiveAt = offsetof(Cpu, vectors) + offsetof(Cpu::Vectors, live);

#pragma GCC diagnostic pop

static_assert(offsetof(Op, handler) == 0, "thunks go on by jmp [rsi]");
static_assert(sizeof(Op) < 128, "thunks step over an Op with an 8-bit immediate");

// The FXSAVE image: Intel SDM vol. 1 table 10-2.
inline constexpr int32_t kFcwAt = kFxsaveAt + 0;
inline constexpr int32_t kFswAt = kFxsaveAt + 2;
inline constexpr int32_t kTagsAt = kFxsaveAt + 4;  // one bit a register, by physical number
inline constexpr int32_t kFopAt = kFxsaveAt + 6;
inline constexpr int32_t kFipAt = kFxsaveAt + 8;
inline constexpr int32_t kFdpAt = kFxsaveAt + 16;
inline constexpr int32_t kStAt = kFxsaveAt + 32;  // ST0..ST7, 16 bytes each

// MXCSR and the x87 control word as the ABI wants them while C++ runs.
inline constexpr uint32_t kHostMxcsr = 0x1F80;
inline constexpr uint16_t kHostFcw = 0x037F;
inline constexpr uint32_t kMxcsrMasks = 0x1F80;
inline constexpr uint8_t kFswErrorSummary = 0x80;

}  // namespace banyan::interp
