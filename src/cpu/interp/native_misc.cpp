// Vector state without arithmetic (MXCSR, EMMS, VZEROUPPER), and hints and fences.
#include <atomic>
#include <cstring>
#include <emmintrin.h>

#include "cpu/interp/native_access.hpp"
#include "cpu/interp/native_families.hpp"
#include "cpu/interp/native_wide.hpp"
#include "cpu/interp/native_x87_state.hpp"
#include "cpu/interp/xsave.hpp"

namespace banyan::interp {
namespace {

void op_ldmxcsr(Cpu& cpu, const Op* op) {
    cpu.settle();
    uint32_t value;
    if (!cpu.read(op, value)) return;
    if ((value & ~kMxcsrMask) != 0) {
        cpu.raise_gp(op);
        return;
    }
    cpu.vectors.mxcsr = value;
    NEXT(cpu, op);
}

void op_stmxcsr(Cpu& cpu, const Op* op) {
    cpu.settle();
    if (!cpu.write(op, cpu.vectors.mxcsr)) return;
    NEXT(cpu, op);
}

void op_emms(Cpu& cpu, const Op* op) {
    cpu.settle();
    X87State x87(cpu.vectors);
    if (x87.error_pending()) {
        cpu.raise(op, x86::Vector::mf);
        return;
    }
    x87.rotate_to(0);
    x87.set_tags(0);
    NEXT(cpu, op);
}

// Outside 64-bit mode only ZMM0 to ZMM7 are reached, and never ZMM16 to ZMM31.
template <unsigned kFrom>
void op_vzero(Cpu& cpu, const Op* op) {
    const unsigned count = cpu.code64() ? 16 : 8;
    for (unsigned i = 0; i < count; ++i) {
        std::memset(cpu.vectors.ymm[i].data() + kFrom, 0, 32 - kFrom);
        clear_zmm_high(cpu, i);
    }
    if (count == 16) cpu.avx512.zmm_high_in_use = 0;
    NEXT(cpu, op);
}

void op_hint(Cpu& cpu, const Op* op) {
    NEXT(cpu, op);
}

// Cache line operations fault as a load of a byte does.
void op_cache_line(Cpu& cpu, const Op* op) {
    uint64_t linear;
    if (!operand_linear(cpu, op, 1, Access::read, linear)) return;
    if (host_address(cpu, linear, 1, Access::read) == nullptr &&
        !cpu.probe(op, linear, 1, Access::read, cpu.view)) {
        return;
    }
    NEXT(cpu, op);
}

void op_mfence(Cpu& cpu, const Op* op) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    NEXT(cpu, op);
}

void op_sfence(Cpu& cpu, const Op* op) {
    _mm_sfence();  // non-temporal stores run as such
    NEXT(cpu, op);
}

void op_lfence(Cpu& cpu, const Op* op) {
    _mm_lfence();
    NEXT(cpu, op);
}

void op_pause(Cpu& cpu, const Op* op) {
    _mm_pause();
    NEXT(cpu, op);
}

// F3 90 with REX.B: the prefix makes no PAUSE of XCHG R8, RAX (Zydis 4.0 says it does).
template <class T>
void op_exchange_r8(Cpu& cpu, const Op* op) {
    const T r8 = cpu.get<T>(x86::kR8 * 8);
    cpu.set<T>(x86::kR8 * 8, cpu.get<T>(x86::kRax * 8));
    cpu.set<T>(x86::kRax * 8, r8);
    NEXT(cpu, op);
}

Handler select_pause(const ZydisDecodedInstruction& in) {
    if ((in.attributes & ZYDIS_ATTRIB_HAS_REX) == 0 || in.raw.rex.B == 0) return op_pause;
    switch (in.operand_width) {
        case 16: return op_exchange_r8<uint16_t>;
        case 32: return op_exchange_r8<uint32_t>;
        default: return op_exchange_r8<uint64_t>;
    }
}

}  // namespace

Handler select_misc(const Decoded& decoded) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_LDMXCSR:
        case ZYDIS_MNEMONIC_VLDMXCSR: return op_ldmxcsr;
        case ZYDIS_MNEMONIC_STMXCSR:
        case ZYDIS_MNEMONIC_VSTMXCSR: return op_stmxcsr;
        case ZYDIS_MNEMONIC_EMMS: return op_emms;
        case ZYDIS_MNEMONIC_VZEROUPPER: return op_vzero<16>;
        case ZYDIS_MNEMONIC_VZEROALL: return op_vzero<0>;
        case ZYDIS_MNEMONIC_PREFETCH:
        case ZYDIS_MNEMONIC_PREFETCHW:
        case ZYDIS_MNEMONIC_PREFETCHWT1:
        case ZYDIS_MNEMONIC_PREFETCHNTA:
        case ZYDIS_MNEMONIC_PREFETCHT0:
        case ZYDIS_MNEMONIC_PREFETCHT1:
        case ZYDIS_MNEMONIC_PREFETCHT2:
        case ZYDIS_MNEMONIC_NOP: return op_hint;
        case ZYDIS_MNEMONIC_CLFLUSH:
        case ZYDIS_MNEMONIC_CLFLUSHOPT:
        case ZYDIS_MNEMONIC_CLWB: return op_cache_line;
        case ZYDIS_MNEMONIC_MFENCE: return op_mfence;
        case ZYDIS_MNEMONIC_SFENCE: return op_sfence;
        case ZYDIS_MNEMONIC_LFENCE: return op_lfence;
        case ZYDIS_MNEMONIC_PAUSE: return select_pause(decoded.instruction);
        default: return nullptr;
    }
}

}  // namespace banyan::interp
