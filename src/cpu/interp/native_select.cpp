// select_native(): which instructions run on the host, when they exist, and how.
#include <algorithm>
#include <bit>
#include <optional>

#include "cpu/interp/arena.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/native_families.hpp"
#include "cpu/interp/native_operand.hpp"
#include "cpu/interp/native_thunk.hpp"
#include "support/log.hpp"

namespace banyan::interp {
namespace {

// What an instruction needs of the mode.
enum class Unit {
    general,      // always there
    general_vex,  // VEX-encoded on general registers: not in real-address and VM86 mode
    x87,
    mmx,
    sse,
    avx,
    avx512,  // EVEX-encoded, or on opmasks
    state,   // FXSAVE, XSAVE: #NM as the x87
    wait,
};

struct Needs {
    Unit unit;
    Feature first = Feature::count;  // none
    Feature second = Feature::count;
};

// AVX-512: a model that has any of it has F, BW and VL.
std::optional<Needs> needs_by_avx512_set(ZydisISASet set) {
    switch (set) {
        case ZYDIS_ISA_SET_AVX512F_128:
        case ZYDIS_ISA_SET_AVX512F_128N:
        case ZYDIS_ISA_SET_AVX512F_256:
        case ZYDIS_ISA_SET_AVX512F_512:
        case ZYDIS_ISA_SET_AVX512F_KOP:
        case ZYDIS_ISA_SET_AVX512F_SCALAR:
        case ZYDIS_ISA_SET_AVX512BW_128:
        case ZYDIS_ISA_SET_AVX512BW_128N:
        case ZYDIS_ISA_SET_AVX512BW_256:
        case ZYDIS_ISA_SET_AVX512BW_512:
        case ZYDIS_ISA_SET_AVX512BW_KOP: return Needs{Unit::avx512, Feature::avx512f};
        case ZYDIS_ISA_SET_AVX512DQ_128:
        case ZYDIS_ISA_SET_AVX512DQ_128N:
        case ZYDIS_ISA_SET_AVX512DQ_256:
        case ZYDIS_ISA_SET_AVX512DQ_512:
        case ZYDIS_ISA_SET_AVX512DQ_KOP:
        case ZYDIS_ISA_SET_AVX512DQ_SCALAR: return Needs{Unit::avx512, Feature::avx512dq};
        case ZYDIS_ISA_SET_AVX512CD_128:
        case ZYDIS_ISA_SET_AVX512CD_256:
        case ZYDIS_ISA_SET_AVX512CD_512: return Needs{Unit::avx512, Feature::avx512cd};
        case ZYDIS_ISA_SET_AVX512_IFMA_128:
        case ZYDIS_ISA_SET_AVX512_IFMA_256:
        case ZYDIS_ISA_SET_AVX512_IFMA_512: return Needs{Unit::avx512, Feature::avx512ifma};
        case ZYDIS_ISA_SET_AVX512_VBMI_128:
        case ZYDIS_ISA_SET_AVX512_VBMI_256:
        case ZYDIS_ISA_SET_AVX512_VBMI_512: return Needs{Unit::avx512, Feature::avx512vbmi};
        case ZYDIS_ISA_SET_AVX512_VBMI2_128:
        case ZYDIS_ISA_SET_AVX512_VBMI2_256:
        case ZYDIS_ISA_SET_AVX512_VBMI2_512: return Needs{Unit::avx512, Feature::avx512vbmi2};
        case ZYDIS_ISA_SET_AVX512_VNNI_128:
        case ZYDIS_ISA_SET_AVX512_VNNI_256:
        case ZYDIS_ISA_SET_AVX512_VNNI_512: return Needs{Unit::avx512, Feature::avx512vnni};
        case ZYDIS_ISA_SET_AVX512_BITALG_128:
        case ZYDIS_ISA_SET_AVX512_BITALG_256:
        case ZYDIS_ISA_SET_AVX512_BITALG_512: return Needs{Unit::avx512, Feature::avx512bitalg};
        case ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_128:
        case ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_256:
        case ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_512:
            return Needs{Unit::avx512, Feature::avx512vpopcntdq};
        case ZYDIS_ISA_SET_AVX512_BF16_128:
        case ZYDIS_ISA_SET_AVX512_BF16_256:
        case ZYDIS_ISA_SET_AVX512_BF16_512: return Needs{Unit::avx512, Feature::avx512bf16};
        case ZYDIS_ISA_SET_AVX512_GFNI_128:
        case ZYDIS_ISA_SET_AVX512_GFNI_256:
        case ZYDIS_ISA_SET_AVX512_GFNI_512:
            return Needs{Unit::avx512, Feature::avx512f, Feature::gfni};
        case ZYDIS_ISA_SET_AVX512_VAES_128:
        case ZYDIS_ISA_SET_AVX512_VAES_256:
        case ZYDIS_ISA_SET_AVX512_VAES_512:
            return Needs{Unit::avx512, Feature::avx512f, Feature::vaes};
        case ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_128:
        case ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_256:
        case ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_512:
            return Needs{Unit::avx512, Feature::avx512f, Feature::vpclmulqdq};
        default: return std::nullopt;
    }
}

// The allow-list: instructions of other sets never reach the host.
std::optional<Needs> needs_by_set(ZydisISASet set) {
    switch (set) {
        case ZYDIS_ISA_SET_X87:
        case ZYDIS_ISA_SET_FCMOV: return Needs{Unit::x87};
        case ZYDIS_ISA_SET_SSE3X87: return Needs{Unit::x87, Feature::sse3};
        case ZYDIS_ISA_SET_PENTIUMMMX:
        case ZYDIS_ISA_SET_SSE2MMX: return Needs{Unit::mmx};
        case ZYDIS_ISA_SET_SSSE3MMX: return Needs{Unit::mmx, Feature::ssse3};
        case ZYDIS_ISA_SET_SSE:
        case ZYDIS_ISA_SET_SSE2:
        case ZYDIS_ISA_SET_SSEMXCSR: return Needs{Unit::sse};
        case ZYDIS_ISA_SET_SSE3: return Needs{Unit::sse, Feature::sse3};
        case ZYDIS_ISA_SET_SSSE3: return Needs{Unit::sse, Feature::ssse3};
        case ZYDIS_ISA_SET_SSE4: return Needs{Unit::sse, Feature::sse4_1};
        case ZYDIS_ISA_SET_SSE42: return Needs{Unit::sse, Feature::sse4_2};
        case ZYDIS_ISA_SET_SSE4A: return Needs{Unit::sse, Feature::sse4a};
        case ZYDIS_ISA_SET_AES: return Needs{Unit::sse, Feature::aes};
        case ZYDIS_ISA_SET_PCLMULQDQ: return Needs{Unit::sse, Feature::pclmulqdq};
        case ZYDIS_ISA_SET_SHA: return Needs{Unit::sse, Feature::sha};
        case ZYDIS_ISA_SET_AVX: return Needs{Unit::avx, Feature::avx};
        case ZYDIS_ISA_SET_AVXAES: return Needs{Unit::avx, Feature::avx, Feature::aes};
        case ZYDIS_ISA_SET_AVX2:
        case ZYDIS_ISA_SET_AVX2GATHER: return Needs{Unit::avx, Feature::avx2};
        case ZYDIS_ISA_SET_F16C: return Needs{Unit::avx, Feature::f16c};
        case ZYDIS_ISA_SET_VAES: return Needs{Unit::avx, Feature::vaes};
        case ZYDIS_ISA_SET_VPCLMULQDQ: return Needs{Unit::avx, Feature::vpclmulqdq};
        case ZYDIS_ISA_SET_GFNI: return Needs{Unit::sse, Feature::gfni};
        case ZYDIS_ISA_SET_AVX_GFNI: return Needs{Unit::avx, Feature::avx, Feature::gfni};
        case ZYDIS_ISA_SET_AVX_VNNI: return Needs{Unit::avx, Feature::avx_vnni};
        case ZYDIS_ISA_SET_FMA: return Needs{Unit::avx, Feature::fma};
        case ZYDIS_ISA_SET_FXSAVE:
        case ZYDIS_ISA_SET_FXSAVE64: return Needs{Unit::state};
        case ZYDIS_ISA_SET_XSAVE: return Needs{Unit::state, Feature::xsave};
        case ZYDIS_ISA_SET_XSAVEOPT: return Needs{Unit::state, Feature::xsaveopt};
        case ZYDIS_ISA_SET_XSAVEC: return Needs{Unit::state, Feature::xsavec};
        case ZYDIS_ISA_SET_BMI1: return Needs{Unit::general_vex, Feature::bmi1};
        case ZYDIS_ISA_SET_BMI2: return Needs{Unit::general_vex, Feature::bmi2};
        case ZYDIS_ISA_SET_ADOX_ADCX: return Needs{Unit::general, Feature::adx};
        case ZYDIS_ISA_SET_LZCNT: return Needs{Unit::general, Feature::lzcnt};
        case ZYDIS_ISA_SET_POPCNT: return Needs{Unit::general, Feature::popcnt};
        case ZYDIS_ISA_SET_RDRAND: return Needs{Unit::general, Feature::rdrand};
        case ZYDIS_ISA_SET_RDSEED: return Needs{Unit::general, Feature::rdseed};
        case ZYDIS_ISA_SET_CLFLUSHOPT: return Needs{Unit::general, Feature::clflushopt};
        case ZYDIS_ISA_SET_CLWB: return Needs{Unit::general, Feature::clwb};
        default: return needs_by_avx512_set(set);
    }
}

// Some mnemonics need something else than most of their set.
std::optional<Needs> needs_of(const ZydisDecodedInstruction& in) {
    switch (in.mnemonic) {
        case ZYDIS_MNEMONIC_XGETBV:
        case ZYDIS_MNEMONIC_XSETBV: return std::nullopt;
        case ZYDIS_MNEMONIC_FWAIT: return Needs{Unit::wait};
        case ZYDIS_MNEMONIC_FCOMI:
        case ZYDIS_MNEMONIC_FCOMIP:
        case ZYDIS_MNEMONIC_FUCOMI:
        case ZYDIS_MNEMONIC_FUCOMIP: return Needs{Unit::x87};
        case ZYDIS_MNEMONIC_FISTTP: return Needs{Unit::x87, Feature::sse3};
        case ZYDIS_MNEMONIC_MOVNTI:
        case ZYDIS_MNEMONIC_LFENCE:
        case ZYDIS_MNEMONIC_MFENCE:
        case ZYDIS_MNEMONIC_SFENCE:
        case ZYDIS_MNEMONIC_PAUSE:
        case ZYDIS_MNEMONIC_NOP:
        case ZYDIS_MNEMONIC_PREFETCH:
        case ZYDIS_MNEMONIC_PREFETCHW:
        case ZYDIS_MNEMONIC_PREFETCHWT1:
        case ZYDIS_MNEMONIC_PREFETCHNTA:
        case ZYDIS_MNEMONIC_PREFETCHT0:
        case ZYDIS_MNEMONIC_PREFETCHT1:
        case ZYDIS_MNEMONIC_PREFETCHT2:
        case ZYDIS_MNEMONIC_CLFLUSH: return Needs{Unit::general};
        case ZYDIS_MNEMONIC_CRC32: return Needs{Unit::general, Feature::sse4_2};
        case ZYDIS_MNEMONIC_TZCNT: return Needs{Unit::general, Feature::bmi1};
        case ZYDIS_MNEMONIC_VPCLMULQDQ:
            if (in.meta.isa_set != ZYDIS_ISA_SET_AVX) return needs_by_set(in.meta.isa_set);
            return Needs{Unit::avx, Feature::avx, Feature::pclmulqdq};
        default: return needs_by_set(in.meta.isa_set);
    }
}

bool uses(const Decoded& decoded, ZydisRegisterClass kind) {
    return std::any_of(decoded.operands,
                       decoded.operands + decoded.instruction.operand_count_visible,
                       [kind](const ZydisDecodedOperand& operand) {
                           return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
                                  ZydisRegisterGetClass(operand.reg.value) == kind;
                       });
}

// CR0.EM makes MMX undefined, CR0.TS unavailable; the mode does not tell them apart.
void op_mmx_unavailable(Cpu& cpu, const Op* op) {
    cpu.raise(op, (cpu.cr0 & x86::kCr0Em) != 0 ? x86::Vector::ud : x86::Vector::nm);
}

// What the mode makes of the instruction: a handler that raises #UD or #NM, or null. Intel SDM vol.
// 2 tables 2-16 to 2-67 and vol. 3 table 2-2.
Handler unavailable(const Decoded& decoded, Unit unit) {
    const Mode mode = decoded.mode;
    const bool mmx = unit == Unit::mmx || uses(decoded, ZYDIS_REGCLASS_MMX);
    const bool sse = unit == Unit::sse && (!mmx || uses(decoded, ZYDIS_REGCLASS_XMM));
    if (unit == Unit::general_vex && (!mode.has(Mode::kProtected) || mode.has(Mode::kVm86)))
        return op_undefined;
    if (sse && mode.has(Mode::kSseInvalid)) return op_undefined;
    if (unit == Unit::avx && mode.has(Mode::kAvxInvalid)) return op_undefined;
    if (unit == Unit::avx512 && mode.has(Mode::kAvx512Invalid)) return op_undefined;
    if (mmx && mode.has(Mode::kFpuTrap)) return op_mmx_unavailable;
    const bool vector = sse || unit == Unit::avx || unit == Unit::avx512;
    if (vector && mode.has(Mode::kSseTrap)) return op_device_not_available;
    if ((unit == Unit::x87 || unit == Unit::state) && mode.has(Mode::kFpuTrap))
        return op_device_not_available;
    if (unit == Unit::wait && mode.has(Mode::kMonitorFpu)) return op_device_not_available;
    return nullptr;
}

// Misaligned 16-byte operands of legacy instructions are #GP, but for a few; VEX has moves that ask
// for alignment.
Alignment alignment_of(const Decoded& decoded) {
    const ZydisDecodedInstruction& in = decoded.instruction;
    // QUIRK: AMD's SHA instructions take any address (seen on family 19h).
    if (in.meta.isa_set == ZYDIS_ISA_SET_SHA && decoded.model.is_amd()) return Alignment::copied;
    switch (in.mnemonic) {
        case ZYDIS_MNEMONIC_MOVUPS:
        case ZYDIS_MNEMONIC_MOVUPD:
        case ZYDIS_MNEMONIC_MOVDQU:
        case ZYDIS_MNEMONIC_LDDQU:
        case ZYDIS_MNEMONIC_PCMPESTRI:
        case ZYDIS_MNEMONIC_PCMPESTRM:
        case ZYDIS_MNEMONIC_PCMPISTRI:
        case ZYDIS_MNEMONIC_PCMPISTRM: return Alignment::any;
        case ZYDIS_MNEMONIC_VMOVAPS:
        case ZYDIS_MNEMONIC_VMOVAPD:
        case ZYDIS_MNEMONIC_VMOVDQA:
        case ZYDIS_MNEMONIC_VMOVDQA32:
        case ZYDIS_MNEMONIC_VMOVDQA64:
        case ZYDIS_MNEMONIC_VMOVNTPS:
        case ZYDIS_MNEMONIC_VMOVNTPD:
        case ZYDIS_MNEMONIC_VMOVNTDQ:
        case ZYDIS_MNEMONIC_VMOVNTDQA: return Alignment::required;
        default:
            return in.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY ? Alignment::required
                                                                    : Alignment::any;
    }
}

Handler select_handler(const Decoded& decoded, Op& op, Unit unit) {
    if (unit == Unit::state) return select_state(decoded);
    Handler handler = unit == Unit::x87 || unit == Unit::wait ? select_x87_control(decoded, op)
                                                              : select_misc(decoded);
    if (decoded.instruction.mnemonic == ZYDIS_MNEMONIC_EMMS) op.bits |= Op::kNativeX87;
    if (handler == nullptr) handler = select_masked(decoded, op);
    if (handler == nullptr) handler = select_gather(decoded, op);
    return handler != nullptr ? handler : select_thunk(decoded, op);
}

// --- thunks ------------------------------------------------------------------

// For a recipe that found no room in the cache.
struct UncachedThunk {
    X87Thunk x87;  // and in it the Thunk
    Recipe recipe;
};

void uncached_code(Cpu& cpu, const Op* op, void* memory) {
    const auto& own = *static_cast<const UncachedThunk*>(op->extra);
    if (!ThunkCache::instance().run_uncached(own.recipe, cpu, op, memory)) return;
    NEXT(cpu, op);
}

void op_uncached(Cpu& cpu, const Op* op) {
    return uncached_code(cpu, op, nullptr);
}

void op_no_generated_code(Cpu& cpu, const Op* op) {
    cpu.give_up(op, "the host does not let this process make executable memory");
}

Handler select_uncached(const Decoded& decoded, Op& op, const Recipe& recipe) {
    auto* own = decoded.arena.allocate<UncachedThunk>();
    own->recipe = recipe;
    if (!ThunkCache::describe(recipe, own->x87.thunk)) return op_no_generated_code;
    own->x87.thunk.code = uncached_code;
    op.extra = own;
    const Thunk& thunk = own->x87.thunk;
    if (thunk.memory_size == 0) return op_uncached;
    if (thunk.is_x87) return x87_operand_handler(thunk.memory_size, thunk.stores);
    return operand_handler(thunk, alignment_of(decoded));
}

Handler select_x87_thunk(const Decoded& decoded, Op& op, const Thunk& thunk) {
    auto* own = decoded.arena.allocate<X87Thunk>();
    own->thunk = thunk;
    own->rip = decoded.rip;
    const auto modrm = decoded.bytes[decoded.instruction.raw.modrm.offset];
    own->opcode = static_cast<uint16_t>(((decoded.instruction.opcode & 7U) << 8) | modrm);
    op.extra = own;
    op.bits |= Op::kNativeX87;
    if (thunk.memory_size == 0) return std::bit_cast<Handler>(thunk.code);
    return x87_operand_handler(thunk.memory_size, thunk.stores);
}

}  // namespace

void op_device_not_available(Cpu& cpu, const Op* op) {
    cpu.raise(op, x86::Vector::nm);
}

Handler select_thunk(const Decoded& decoded, Op& op, bool without_f3) {
    Recipe recipe;
    if (!make_recipe(decoded, recipe, without_f3)) {
        LOG_LIMITED(LogLevel::warning, "interp", "no recipe for %s",
                    ZydisMnemonicGetString(decoded.instruction.mnemonic));
        return op_undefined;
    }
    const Thunk* thunk = ThunkCache::instance().find(recipe);
    if (thunk == nullptr) return select_uncached(decoded, op, recipe);
    if (thunk->is_x87) return select_x87_thunk(decoded, op, *thunk);
    op.extra = thunk;
    const Alignment alignment = alignment_of(decoded);
    if (!without_f3) op.bits |= Op::kNative;
    if (thunk->uses_mmx) op.bits |= Op::kNativeX87;
    if (alignment != Alignment::any) op.bits |= Op::kAligned;
    if (thunk->memory_size == 0) return std::bit_cast<Handler>(thunk->code);
    return operand_handler(*thunk, alignment);
}

Handler select_native(const Decoded& decoded, Op& op) {
    const ZydisDecodedInstruction& in = decoded.instruction;
    const std::optional<Needs> needs = needs_of(in);
    if (!needs) return nullptr;
    const auto offered = [&](Feature f) { return f == Feature::count || decoded.model.has(f); };
    if (!offered(needs->first) || !offered(needs->second)) {
        // Older CPUs ignore the prefix.
        if (in.mnemonic == ZYDIS_MNEMONIC_TZCNT || in.mnemonic == ZYDIS_MNEMONIC_LZCNT)
            return select_thunk(decoded, op, true);
        return nullptr;
    }
    if (const Handler fault = unavailable(decoded, needs->unit)) return fault;
    return select_handler(decoded, op, needs->unit);
}

}  // namespace banyan::interp
