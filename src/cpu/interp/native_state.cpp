// FXSAVE, FXRSTOR and the XSAVE family. Intel SDM vol. 1 sections 10.5 and 13.7 to 13.12.
#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "arch/x86/xsave_layout.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/native_access.hpp"
#include "cpu/interp/native_families.hpp"
#include "cpu/interp/xsave.hpp"

namespace banyan::interp {
namespace {

constexpr uint64_t kX87 = x86::kXcr0X87;
constexpr uint64_t kSse = x86::kXcr0Sse;
constexpr uint64_t kAvx = x86::kXcr0Avx;
constexpr uint64_t kCompacted = uint64_t{1} << 63;
constexpr unsigned kHeader = x86::kXsaveLegacySize;  // XSTATE_BV, then XCOMP_BV

unsigned registers(const Cpu& cpu) {
    return cpu.code64() ? 16 : 8;
}

// A state area in guest memory: pieces of it are listed first, and move only when all of them can.
class Area {
public:
    Area(Cpu& cpu, const Op* op) : cpu_(cpu), op_(op) { cpu.settle(); }

    bool locate(unsigned size, unsigned alignment, Access access) {
        if (!aligned_area(cpu_, op_, size, alignment, access, linear_)) return false;
        host_ = host_address(cpu_, linear_, size, access);
        size_ = size;
        std::memset(image_.data(), 0, size);
        return true;
    }
    void add(unsigned offset, unsigned size) { add(offset, size, offset); }
    // Here it always has standard format.
    std::byte* at(unsigned offset) { return &image_[offset]; }

    // The pieces added so far, and no longer listed afterwards.
    bool read() {
        for (const Piece& p : std::span(pieces_).first(count_)) {
            if (!read(p)) return false;
        }
        count_ = 0;
        return true;
    }
    bool write() {
        for (const Piece& p : std::span(pieces_).first(count_)) {
            if (!probe(p)) return false;
        }
        for (const Piece& p : std::span(pieces_).first(count_)) {
            if (!write(p)) return false;
        }
        return true;
    }

    // The pieces of components.
    void add_x87() {
        add(0, kMxcsrInArea);
        add(kStInArea, kXmmInArea - kStInArea);
    }
    void add_mxcsr() { add(kMxcsrInArea, 8); }
    void add_sse() { add(kXmmInArea, 16 * registers(cpu_)); }
    // `layout`: XCOMP_BV.
    void add_extended(uint64_t components, uint64_t layout) {
        for (const x86::XsaveComponent& c : x86::kXsaveComponents) {
            const unsigned size = size_in_this_mode(c);
            if ((components & c.bit()) == 0 || size == 0) continue;
            const bool compacted = (layout & kCompacted) != 0;
            add(c.offset, size, compacted ? x86::compacted_xsave_offset(c, layout) : c.offset);
        }
    }

private:
    struct Piece {
        unsigned offset = 0;  // in `image_`
        unsigned size = 0;
        unsigned place = 0;  // in the guest's memory
    };

    void add(unsigned offset, unsigned size, unsigned place) {
        pieces_[count_++] = {offset, size, place};
    }
    // Outside 64-bit mode, parts for registers that cannot be named are left alone (Intel SDM
    // vol. 1 section 13.5).
    unsigned size_in_this_mode(const x86::XsaveComponent& c) const {
        if (cpu_.code64() || c.bit() == x86::kXcr0Opmask) return c.size;
        return c.bit() == x86::kXcr0HighZmm ? 0 : c.size / 2;
    }
    bool is_plain(const Piece& p) const { return host_ != nullptr && p.place + p.size <= size_; }

    bool read(const Piece& p) {
        if (!is_plain(p))
            return cpu_.read_slow(op_, linear_ + p.place, &image_[p.offset], p.size, cpu_.view);
        std::memcpy(&image_[p.offset], host_ + p.place, p.size);
        return true;
    }
    bool probe(const Piece& p) {
        return is_plain(p) || cpu_.probe(op_, linear_ + p.place, p.size, Access::write, cpu_.view);
    }
    bool write(const Piece& p) {
        if (!is_plain(p))
            return cpu_.write_slow(op_, linear_ + p.place, &image_[p.offset], p.size, cpu_.view);
        std::memcpy(host_ + p.place, &image_[p.offset], p.size);
        return true;
    }

    Cpu& cpu_;
    const Op* op_;
    uint64_t linear_ = 0;
    unsigned size_ = 0;
    std::byte* host_ = nullptr;  // if all of it is plain memory in one page
    std::array<Piece, 12> pieces_{};
    size_t count_ = 0;
    alignas(64) std::array<std::byte, x86::kXsaveSize> image_;  // as far as `size_`
};

// --- FXSAVE, FXRSTOR ---------------------------------------------------------

// Without CR4.OSFXSR they leave SSE state alone.
bool moves_sse(const Cpu& cpu) {
    return (cpu.cr4 & x86::kCr4OsFxsr) != 0;
}

template <bool kWide>
void op_fxsave(Cpu& cpu, const Op* op) {
    Area area(cpu, op);
    if (!area.locate(x86::kXsaveLegacySize, 16, Access::write)) return;
    pack_x87(cpu.vectors, area.at(0), kWide);
    area.add_x87();
    if (moves_sse(cpu)) {
        pack_mxcsr(cpu.vectors, area.at(0));
        pack_sse(cpu.vectors, area.at(0), registers(cpu));
        area.add_mxcsr();
        area.add_sse();
    }
    if (!area.write()) return;
    NEXT(cpu, op);
}

template <bool kWide>
void op_fxrstor(Cpu& cpu, const Op* op) {
    Area area(cpu, op);
    if (!area.locate(x86::kXsaveLegacySize, 16, Access::read)) return;
    area.add(0, x86::kXsaveLegacySize);
    if (!area.read()) return;
    const auto mxcsr = get_field<uint32_t>(area.at(kMxcsrInArea));
    if (moves_sse(cpu)) {
        if ((mxcsr & ~kMxcsrMask) != 0) {
            cpu.raise_gp(op);
            return;
        }
        cpu.vectors.mxcsr = mxcsr;
        unpack_sse(cpu.vectors, area.at(0), registers(cpu));
    }
    unpack_x87(cpu.vectors, area.at(0), kWide);
    NEXT(cpu, op);
}

// --- XSAVE -------------------------------------------------------------------

// RFBM: what is asked for and enabled.
bool requested(Cpu& cpu, const Op* op, uint64_t& components) {
    if ((cpu.cr4 & x86::kCr4OsXsave) == 0) return cpu.raise_ud(op);
    const uint64_t mask = (cpu.gpr[x86::kRdx] << 32) | (cpu.gpr[x86::kRax] & 0xFFFFFFFF);
    components = mask & cpu.xcr0;
    return true;
}

// XINUSE, as far as it is asked for. What cannot be named in this mode counts as initial (Intel SDM
// vol. 1 section 13.6).
uint64_t in_use(const Cpu& cpu, uint64_t components) {
    uint64_t result = state_in_use(cpu.vectors);
    if ((components & x86::kXcr0Avx512) != 0) result |= avx512_state_in_use(cpu.avx512);
    if (!cpu.code64()) result &= ~uint64_t{x86::kXcr0HighZmm};
    return result & components;
}

enum class Saving { all, in_use };

void save_components(const Cpu& cpu, Area& area, uint64_t components, uint64_t layout, bool wide) {
    if ((components & kX87) != 0) {
        pack_x87(cpu.vectors, area.at(0), wide);
        area.add_x87();
    }
    if ((components & kSse) != 0) {
        pack_sse(cpu.vectors, area.at(0), registers(cpu));
        area.add_sse();
    }
    if ((components & kAvx) != 0) {
        pack_avx(cpu.vectors, area.at(0), registers(cpu));
    }
    pack_avx512(cpu.avx512, components, area.at(0), registers(cpu));
    area.add_extended(components, layout);
}

template <bool kWide, Saving kSaving>
void op_xsave(Cpu& cpu, const Op* op) {
    uint64_t components = 0;
    Area area(cpu, op);
    if (!requested(cpu, op, components)) return;
    if (!area.locate(x86::xsave_size(components), 64, Access::write)) return;
    area.add(kHeader, 8);
    if (!area.read()) return;
    const uint64_t used = in_use(cpu, components);
    const auto present = get_field<uint64_t>(area.at(kHeader));
    put_field(area.at(kHeader), (present & ~components) | used);
    area.add(kHeader, 8);
    save_components(cpu, area, kSaving == Saving::all ? components : used, 0, kWide);
    if ((components & (kSse | kAvx)) != 0) {
        pack_mxcsr(cpu.vectors, area.at(0));
        area.add_mxcsr();
    }
    if (!area.write()) return;
    NEXT(cpu, op);
}

template <bool kWide>
void op_xsavec(Cpu& cpu, const Op* op) {
    uint64_t components = 0;
    Area area(cpu, op);
    if (!requested(cpu, op, components)) return;
    if (!area.locate(x86::compacted_xsave_size(components), 64, Access::write)) return;
    const uint64_t saved = in_use(cpu, components);
    const uint64_t layout = components | kCompacted;
    put_field(area.at(kHeader), saved);
    put_field(area.at(kHeader + 8), layout);
    area.add(kHeader, 16);
    save_components(cpu, area, saved, layout, kWide);
    if ((saved & kSse) != 0) {
        pack_mxcsr(cpu.vectors, area.at(0));
        area.add_mxcsr();
    }
    if (!area.write()) return;
    NEXT(cpu, op);
}

// --- XRSTOR ------------------------------------------------------------------

// Intel SDM vol. 1 section 13.8: which headers are #GP.
bool header_is_valid(const Cpu& cpu, const std::byte* header) {
    const auto present = get_field<uint64_t>(header);
    const auto layout = get_field<uint64_t>(header + 8);
    const auto zero_from = [header](size_t at) {
        return std::all_of(header + at, header + x86::kXsaveHeaderSize,
                           [](std::byte b) { return b == std::byte{0}; });
    };
    if ((layout & kCompacted) != 0) {
        if (!cpu.model.has(Feature::xsavec)) return false;
        const uint64_t components = layout & ~kCompacted;
        return (components & ~cpu.xcr0) == 0 && (present & ~components) == 0 && zero_from(16);
    }
    return (present & ~cpu.xcr0) == 0 && layout == 0 && get_field<uint64_t>(header + 16) == 0;
}

// Reads what of `components` is in the area.
bool read_components(Area& area, uint64_t components, uint64_t layout, bool with_mxcsr) {
    if ((components & kX87) != 0) area.add_x87();
    if ((components & kSse) != 0) area.add_sse();
    area.add_extended(components, layout);
    if (with_mxcsr) area.add_mxcsr();
    return area.read();
}

void restore_components(Cpu& cpu, Area& area, uint64_t components, uint64_t present, bool wide) {
    Cpu::Vectors& v = cpu.vectors;
    const unsigned count = registers(cpu);
    if ((components & present & kX87) != 0) unpack_x87(v, area.at(0), wide);
    if ((components & ~present & kX87) != 0) init_x87(v);
    if ((components & present & kSse) != 0) unpack_sse(v, area.at(0), count);
    if ((components & ~present & kSse) != 0) init_sse(v, count);
    if ((components & present & kAvx) != 0) unpack_avx(v, area.at(0), count);
    if ((components & ~present & kAvx) != 0) init_avx(v, count);
    unpack_avx512(cpu.avx512, components & present, area.at(0), count);
    init_avx512(cpu.avx512, components & ~present, count);
}

template <bool kWide>
void op_xrstor(Cpu& cpu, const Op* op) {
    uint64_t components = 0;
    Area area(cpu, op);
    if (!requested(cpu, op, components)) return;
    if (!area.locate(x86::xsave_size(components), 64, Access::read)) return;
    area.add(kHeader, x86::kXsaveHeaderSize);
    if (!area.read()) return;
    if (!header_is_valid(cpu, area.at(kHeader))) {
        cpu.raise_gp(op);
        return;
    }
    const auto present = get_field<uint64_t>(area.at(kHeader));
    const auto layout = get_field<uint64_t>(area.at(kHeader + 8));
    const bool compacted = (layout & kCompacted) != 0;
    // In standard format MXCSR belongs to SSE and AVX and is there whatever XSTATE_BV says.
    const bool sets_mxcsr = (components & (compacted ? kSse : kSse | kAvx)) != 0;
    const bool reads_mxcsr = sets_mxcsr && (!compacted || (present & kSse) != 0);
    if (!read_components(area, components & present, layout, reads_mxcsr)) return;
    const uint32_t mxcsr = reads_mxcsr ? get_field<uint32_t>(area.at(kMxcsrInArea)) : 0x1F80;
    if ((mxcsr & ~kMxcsrMask) != 0) {
        cpu.raise_gp(op);
        return;
    }
    restore_components(cpu, area, components, present, kWide);
    if (sets_mxcsr) cpu.vectors.mxcsr = mxcsr;
    NEXT(cpu, op);
}

}  // namespace

Handler select_state(const Decoded& decoded) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_FXSAVE: return op_fxsave<false>;
        case ZYDIS_MNEMONIC_FXSAVE64: return op_fxsave<true>;
        case ZYDIS_MNEMONIC_FXRSTOR: return op_fxrstor<false>;
        case ZYDIS_MNEMONIC_FXRSTOR64: return op_fxrstor<true>;
        case ZYDIS_MNEMONIC_XSAVE: return op_xsave<false, Saving::all>;
        case ZYDIS_MNEMONIC_XSAVE64: return op_xsave<true, Saving::all>;
        case ZYDIS_MNEMONIC_XSAVEOPT: return op_xsave<false, Saving::in_use>;
        case ZYDIS_MNEMONIC_XSAVEOPT64: return op_xsave<true, Saving::in_use>;
        case ZYDIS_MNEMONIC_XSAVEC: return op_xsavec<false>;
        case ZYDIS_MNEMONIC_XSAVEC64: return op_xsavec<true>;
        case ZYDIS_MNEMONIC_XRSTOR: return op_xrstor<false>;
        case ZYDIS_MNEMONIC_XRSTOR64: return op_xrstor<true>;
        default: return nullptr;
    }
}

}  // namespace banyan::interp
