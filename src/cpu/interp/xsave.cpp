#include "cpu/interp/xsave.hpp"

#include <algorithm>
#include <cstring>

#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/native_layout.hpp"
#include "cpu/interp/native_x87_state.hpp"

namespace banyan::interp {
namespace {

bool all_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// Our own image carries an MXCSR that FXRSTOR will load into the host's.
void keep_image_loadable(Cpu::Vectors& vectors) {
    put_field(vectors.fxsave.data() + kMxcsrInArea, kHostMxcsr);
}

}  // namespace

void pack_x87(const Cpu::Vectors& vectors, std::byte* area, bool wide) {
    std::memcpy(area, vectors.fxsave.data(), kMxcsrInArea);
    put_field(area + 5, std::byte{0});
    if (!wide) {
        put_field(area + 12, uint32_t{0});
        put_field(area + 20, uint32_t{0});
    }
    for (size_t at = kStInArea; at < kXmmInArea; at += 16) {
        std::memcpy(area + at, vectors.fxsave.data() + at, 10);
        std::memset(area + at + 10, 0, 6);
    }
}

void unpack_x87(Cpu::Vectors& vectors, const std::byte* area, bool wide) {
    X87State x87(vectors);
    x87.set_control_and_status(get_field<uint16_t>(area), get_field<uint16_t>(area + 2));
    x87.set_tags(get_field<uint8_t>(area + 4));
    if (wide) {
        x87.set_pointers(get_field<uint16_t>(area + 6), get_field<uint64_t>(area + 8),
                         get_field<uint64_t>(area + 16));
    } else {
        x87.set_pointers(get_field<uint16_t>(area + 6), get_field<uint32_t>(area + 8),
                         get_field<uint32_t>(area + 16));
    }
    for (unsigned i = 0; i < 8; ++i)
        std::memcpy(x87.st(i).data(), area + kStInArea + 16 * i, 10);
    keep_image_loadable(vectors);
}

void init_x87(Cpu::Vectors& vectors) {
    vectors.fxsave = {};
    X87State(vectors).initialise();
    keep_image_loadable(vectors);
}

void pack_mxcsr(const Cpu::Vectors& vectors, std::byte* area) {
    put_field(area + kMxcsrInArea, vectors.mxcsr);
    put_field(area + kMxcsrInArea + 4, kMxcsrMask);
}

void pack_sse(const Cpu::Vectors& vectors, std::byte* area, unsigned registers) {
    for (unsigned i = 0; i < registers; ++i)
        std::memcpy(area + kXmmInArea + 16 * i, vectors.ymm[i].data(), 16);
}

void unpack_sse(Cpu::Vectors& vectors, const std::byte* area, unsigned registers) {
    for (unsigned i = 0; i < registers; ++i)
        std::memcpy(vectors.ymm[i].data(), area + kXmmInArea + 16 * i, 16);
}

void init_sse(Cpu::Vectors& vectors, unsigned registers) {
    for (unsigned i = 0; i < registers; ++i)
        std::memset(vectors.ymm[i].data(), 0, 16);
}

void pack_avx(const Cpu::Vectors& vectors, std::byte* area, unsigned registers) {
    for (unsigned i = 0; i < registers; ++i) {
        std::memcpy(area + x86::kXsaveAvxOffset + 16 * i, vectors.ymm[i].data() + 16, 16);
    }
}

void unpack_avx(Cpu::Vectors& vectors, const std::byte* area, unsigned registers) {
    for (unsigned i = 0; i < registers; ++i) {
        std::memcpy(vectors.ymm[i].data() + 16, area + x86::kXsaveAvxOffset + 16 * i, 16);
    }
}

void init_avx(Cpu::Vectors& vectors, unsigned registers) {
    for (unsigned i = 0; i < registers; ++i)
        std::memset(vectors.ymm[i].data() + 16, 0, 16);
}

void pack_avx512(const Cpu::Avx512& state, uint64_t components, std::byte* area,
                 unsigned registers) {
    if ((components & x86::kXcr0Opmask) != 0)
        std::memcpy(area + x86::kXsaveOpmaskOffset, state.k.data(), sizeof(state.k));
    if ((components & x86::kXcr0ZmmHigh) != 0)
        std::memcpy(area + x86::kXsaveZmmHighOffset, state.zmm_high.data(), 32 * registers);
    if ((components & x86::kXcr0HighZmm) != 0 && registers == 16)
        std::memcpy(area + x86::kXsaveHighZmmOffset, state.high_zmm.data(), sizeof(state.high_zmm));
}

void unpack_avx512(Cpu::Avx512& state, uint64_t components, const std::byte* area,
                   unsigned registers) {
    if ((components & x86::kXcr0Opmask) != 0)
        std::memcpy(state.k.data(), area + x86::kXsaveOpmaskOffset, sizeof(state.k));
    if ((components & x86::kXcr0ZmmHigh) != 0) {
        std::memcpy(state.zmm_high.data(), area + x86::kXsaveZmmHighOffset, 32 * registers);
        state.zmm_high_in_use = 1;
    }
    if ((components & x86::kXcr0HighZmm) != 0 && registers == 16)
        std::memcpy(state.high_zmm.data(), area + x86::kXsaveHighZmmOffset, sizeof(state.high_zmm));
}

void init_avx512(Cpu::Avx512& state, uint64_t components, unsigned registers) {
    if ((components & x86::kXcr0Opmask) != 0) state.k = {};
    if ((components & x86::kXcr0ZmmHigh) != 0 && state.zmm_high_in_use != 0) {
        std::memset(state.zmm_high.data(), 0, 32 * registers);
        if (registers == 16) state.zmm_high_in_use = 0;
    }
    if ((components & x86::kXcr0HighZmm) != 0 && registers == 16) state.high_zmm = {};
}

uint64_t avx512_state_in_use(const Cpu::Avx512& state) {
    static constexpr Cpu::Avx512 kInitial{};
    const auto used = [](const auto& now, const auto& initial) {
        return std::memcmp(&now, &initial, sizeof(now)) != 0;
    };
    uint64_t result = 0;
    if (used(state.k, kInitial.k)) result |= x86::kXcr0Opmask;
    if (state.zmm_high_in_use != 0 && used(state.zmm_high, kInitial.zmm_high))
        result |= x86::kXcr0ZmmHigh;
    if (used(state.high_zmm, kInitial.high_zmm)) result |= x86::kXcr0HighZmm;
    return result;
}

uint64_t state_in_use(const Cpu::Vectors& vectors) {
    uint64_t result = 0;
    const std::span x87(vectors.fxsave.data(), kXmmInArea);
    const bool initial_x87 = get_field<uint16_t>(x87.data()) == X87State::kInitialControl &&
                             all_zero(x87.subspan(2, kMxcsrInArea - 2)) &&
                             all_zero(x87.subspan(kStInArea));
    if (!initial_x87) result |= x86::kXcr0X87;
    bool sse = vectors.mxcsr != 0x1F80;
    bool avx = false;
    for (const auto& ymm : vectors.ymm) {
        sse = sse || !all_zero(std::span(ymm).first(16));
        avx = avx || !all_zero(std::span(ymm).last(16));
    }
    if (sse) result |= x86::kXcr0Sse;
    if (avx) result |= x86::kXcr0Avx;
    return result;
}

void pack_xsave(const Cpu& cpu, std::span<std::byte, x86::kXsaveSize> area) {
    std::fill(area.begin(), area.end(), std::byte{0});
    pack_x87(cpu.vectors, area.data(), true);
    pack_mxcsr(cpu.vectors, area.data());
    pack_sse(cpu.vectors, area.data(), 16);
    pack_avx(cpu.vectors, area.data(), 16);
    uint64_t present = x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx;
    if (cpu.model.has(Feature::avx512f)) present |= x86::kXcr0Avx512;
    pack_avx512(cpu.avx512, present, area.data(), 16);
    put_field(area.data() + x86::kXsaveLegacySize, present);
}

void unpack_xsave(Cpu& cpu, std::span<const std::byte, x86::kXsaveSize> area) {
    Cpu::Vectors& v = cpu.vectors;
    const auto present = get_field<uint64_t>(area.data() + x86::kXsaveLegacySize);
    init_x87(v);
    init_sse(v, 16);
    init_avx(v, 16);
    init_avx512(cpu.avx512, x86::kXcr0Avx512, 16);
    if (cpu.model.has(Feature::avx512f)) unpack_avx512(cpu.avx512, present, area.data(), 16);
    if ((present & x86::kXcr0X87) != 0) unpack_x87(v, area.data(), true);
    if ((present & x86::kXcr0Sse) != 0) unpack_sse(v, area.data(), 16);
    if ((present & x86::kXcr0Avx) != 0) unpack_avx(v, area.data(), 16);
    v.mxcsr = get_field<uint32_t>(area.data() + kMxcsrInArea) & kMxcsrMask;
}

}  // namespace banyan::interp
