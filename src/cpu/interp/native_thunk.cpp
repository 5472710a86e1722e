#include "cpu/interp/native_thunk.hpp"

#include <algorithm>
#include <bit>

#include "cpu/interp/native_assembler.hpp"
#include "cpu/interp/native_layout.hpp"

namespace banyan::interp {
namespace {

enum HostRegister : unsigned { kHostRax = 0, kHostRcx = 1, kHostRdx = 2 };

// What a recipe reads and writes.
struct Usage {
    struct Vector {
        uint8_t read = 0;  // bytes: 0, 16 or 32
        uint8_t write = 0;
    };
    struct General {
        uint8_t host = 0;
        uint8_t offset = 0;
        uint8_t size = 0;
        bool read = false;
        bool write = false;
    };
    std::array<Vector, 16> vectors{};
    std::array<bool, 8> mmx_read{};
    std::array<bool, 8> mmx_write{};
    std::array<General, 6> general{};
    unsigned general_count = 0;
    unsigned memory_size = 0;
    bool stores = false;
    bool vex = false;
    bool wide = false;  // some 256-bit register
    bool mmx = false;
    bool flags = false;
    bool mxcsr = false;
    bool x87 = false;
};

bool raises_simd_exceptions(const ZydisDecodedInstruction& instruction) {
    switch (instruction.meta.exception_class) {
        case ZYDIS_EXCEPTION_CLASS_SSE2:
        case ZYDIS_EXCEPTION_CLASS_SSE3:
        case ZYDIS_EXCEPTION_CLASS_AVX2:
        case ZYDIS_EXCEPTION_CLASS_AVX3:
        case ZYDIS_EXCEPTION_CLASS_AVX11: return true;
        default: break;
    }
    // Conversions from and to MMX registers have no class in Zydis.
    switch (instruction.mnemonic) {
        case ZYDIS_MNEMONIC_CVTPI2PS:
        case ZYDIS_MNEMONIC_CVTPS2PI:
        case ZYDIS_MNEMONIC_CVTTPS2PI:
        case ZYDIS_MNEMONIC_CVTPI2PD:
        case ZYDIS_MNEMONIC_CVTPD2PI:
        case ZYDIS_MNEMONIC_CVTTPD2PI: return true;
        default: return false;
    }
}

class Analyst {
public:
    Analyst(const Recipe& recipe, const RecipeDetails& details)
        : recipe_(recipe), details_(details) {}

    Usage analyse() {
        const ZydisDecodedInstruction& in = details_.instruction;
        usage_.vex = in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
        usage_.mxcsr = raises_simd_exceptions(in);
        usage_.x87 =
            in.meta.category == ZYDIS_CATEGORY_X87_ALU || in.meta.category == ZYDIS_CATEGORY_FCMOV;
        if (const ZydisAccessedFlags* f = in.cpu_flags) {
            usage_.flags = (f->tested | f->modified | f->set_0 | f->set_1 | f->undefined) != 0;
        }
        for (unsigned i = 0; i < in.operand_count; ++i)
            note(details_.operands[i]);
        return usage_;
    }

private:
    void note(const ZydisDecodedOperand& operand) {
        const bool read = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
        const bool write = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
        if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
            usage_.memory_size = operand.size / 8U;
            usage_.stores = write;
        }
        if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return;
        const auto id = static_cast<unsigned>(ZydisRegisterGetId(operand.reg.value));
        switch (ZydisRegisterGetClass(operand.reg.value)) {
            case ZYDIS_REGCLASS_XMM: note_vector(id, 16, read, write); break;
            case ZYDIS_REGCLASS_YMM: note_vector(id, 32, read, write); break;
            case ZYDIS_REGCLASS_MMX:
                usage_.mmx = true;
                usage_.mmx_read[id] = true;
                usage_.mmx_write[id] = usage_.mmx_write[id] || write;
                break;
            case ZYDIS_REGCLASS_GPR8:
            case ZYDIS_REGCLASS_GPR16:
            case ZYDIS_REGCLASS_GPR32:
            case ZYDIS_REGCLASS_GPR64: note_general(operand, read, write); break;
            default: break;
        }
    }

    // Legacy instructions keep what they do not write of a register, which Zydis does not call
    // reading.
    void note_vector(unsigned id, uint8_t size, bool read, bool write) {
        Usage::Vector& v = usage_.vectors[id];
        if (read || !usage_.vex) v.read = std::max(v.read, size);
        if (write) v.write = usage_.vex ? 32 : 16;
        usage_.wide = usage_.wide || size == 32;
    }

    void note_general(const ZydisDecodedOperand& operand, bool read, bool write) {
        Usage::General g;
        unsigned host = static_cast<unsigned>(ZydisRegisterGetId(operand.reg.value));
        if (operand.size == 8) host -= 4;  // Zydis counts AH..BH before R8B
        g.host = static_cast<uint8_t>(host);
        g.size = static_cast<uint8_t>(operand.size / 8);
        const auto* stand_in = std::find(kStandIns.begin(), kStandIns.end(), g.host);
        g.offset = stand_in != kStandIns.end()
                       ? recipe_.gpr[static_cast<size_t>(stand_in - kStandIns.begin())]
                       : static_cast<uint8_t>(host * 8);
        // Narrow results leave the rest of the register; BSF and BSR of 0 leave all of it.
        const ZydisMnemonic mnemonic = details_.instruction.mnemonic;
        g.read =
            read || g.size < 4 || mnemonic == ZYDIS_MNEMONIC_BSF || mnemonic == ZYDIS_MNEMONIC_BSR;
        g.write = write;
        usage_.general[usage_.general_count++] = g;
    }

    const Recipe& recipe_;
    const RecipeDetails& details_;
    Usage usage_;
};

}  // namespace

// Writes one thunk.
class ThunkWriter {
public:
    ThunkWriter(const ThunkCache::Common& common, const Recipe& recipe, const Usage& usage,
                const uint8_t* place)
        : common_(common), recipe_(recipe), use_(usage), a_(place) {}

    std::span<const uint8_t> write() {
        if (use_.x87) {
            write_x87();
        } else {
            write_plain();
        }
        return a_.code();
    }
    size_t live_offset() const { return live_offset_; }

private:
    void write_plain() {
        if (use_.mmx) check_mmx();
        if (use_.mxcsr) enter_mxcsr();
        if (use_.memory_size != 0) a_.bytes({0x49, 0x89, 0xD1});  // mov r9, rdx
        load_registers();
        if (use_.flags) load_flags();
        instruction();
        store_registers();
        if (use_.flags) store_flags();
        if (use_.mxcsr) leave_mxcsr();
        if (use_.wide) a_.bytes({0xC5, 0xF8, 0x77});                     // vzeroupper
        if (use_.mmx) a_.bytes({0x0F, 0x77});                            // emms
        a_.bytes({0x48, 0x83, 0xC6, static_cast<uint8_t>(sizeof(Op))});  // add rsi, sizeof(Op)
        a_.bytes({0xFF, 0x26});                                          // jmp [rsi]
    }

    // The host's x87 may hold the guest's state when the next Op is x87, too: see make_x87_next().
    void write_x87() {
        a_.test8(kFswAt, kFswErrorSummary);
        a_.jump_if_not_zero(common_.x87_error);
        a_.opcode({0x48, 0x0F, 0xAE}, 1, kFxsaveAt);  // fxrstor64
        live_offset_ = a_.code().size();
        if (use_.memory_size != 0) a_.bytes({0x49, 0x89, 0xD1});
        if (use_.flags) load_flags();
        instruction();
        if (use_.flags) store_flags();
        a_.jump(common_.x87_next);
    }

    void instruction() { a_.bytes(std::span<const uint8_t>(recipe_.code.data(), recipe_.length)); }

    // Intel SDM vol. 3 section 12.2: MMX instructions set TOP to 0 and all tags to valid; pending
    // x87 errors come first.
    void check_mmx() {
        a_.test8(kFswAt, kFswErrorSummary);
        a_.jump_if_not_zero(common_.x87_error);
        a_.test8(kFswAt + 1, 0x38);
        a_.jump_if_not_zero(common_.enter_mmx);
    }

    void enter_mxcsr() {
        a_.opcode({0x8B}, kHostRax, kMxcsrAt);
        a_.bytes({0xF7, 0xD0});  // not eax
        a_.bytes({0xA9});        // test eax, masks
        a_.dword(kMxcsrMasks);
        a_.jump_if_not_zero(common_.unmasked);
        a_.opcode({0x0F, 0xAE}, 2, kMxcsrAt);  // ldmxcsr
    }

    void leave_mxcsr() {
        a_.opcode({0x0F, 0xAE}, 3, kMxcsrAt);  // stmxcsr
        a_.bytes({0x0F, 0xAE, 0x15});          // ldmxcsr [rip + ...]
        a_.dword(static_cast<uint32_t>(common_.constants - (a_.here() + 4)));
    }

    void load_registers() {
        for (unsigned i = 0; i < 16; ++i) {
            const unsigned size = use_.vectors[i].read;
            if (size == 0) continue;
            if (use_.vex) {
                a_.load_vex(i, ymm_at(i), size);
            } else {
                a_.load_xmm(i, ymm_at(i));
            }
        }
        for (unsigned i = 0; i < 8; ++i) {
            if (use_.mmx_read[i]) a_.load_mmx(i, st_at(i));
        }
        for (unsigned i = 0; i < use_.general_count; ++i) {
            const Usage::General& g = use_.general[i];
            if (!g.read) continue;
            if (g.size == 1) {
                a_.load8(g.host, kGprAt + g.offset);
            } else {
                a_.load64(g.host, kGprAt + g.offset);
            }
        }
    }

    // Nothing here changes flags.
    void store_registers() {
        for (unsigned i = 0; i < 16; ++i) {
            const unsigned size = use_.vectors[i].write;
            if (size == 32) a_.store_vex(i, ymm_at(i), size);
            if (size == 16) a_.store_xmm(i, ymm_at(i));
        }
        for (unsigned i = 0; i < 8; ++i) {
            if (!use_.mmx_write[i]) continue;
            a_.store_mmx(i, st_at(i));
            a_.set16(st_at(i) + 8, 0xFFFF);
        }
        if (use_.mmx) a_.set8(kTagsAt, 0xFF);
        // The first operand last: MULX may name one register twice, which then gets the high half.
        for (unsigned i = use_.general_count; i-- > 0;) {
            const Usage::General& g = use_.general[i];
            if (g.write) a_.store64(g.host, kGprAt + g.offset);
        }
    }

    // As in arithmetic.hpp; RAX only counts as an operand of instructions that write no flags but
    // all of them, whose incoming ones do not matter.
    void load_flags() {
        if (uses_rax()) return;
        a_.load16(kHostRax, kArithAt);
        a_.bytes({0x04, 0x7F});  // add al, 0x7F: OF
        a_.bytes({0x9E});        // sahf
    }
    void store_flags() {
        a_.bytes({0x9F, 0x0F, 0x90, 0xC0});  // lahf; seto al
        a_.store16(kHostRax, kArithAt);
    }
    bool uses_rax() const {
        return std::any_of(use_.general.begin(), use_.general.begin() + use_.general_count,
                           [](const Usage::General& g) { return g.host == kHostRax; });
    }

    static int32_t ymm_at(unsigned i) { return kYmmAt + static_cast<int32_t>(i) * 32; }
    static int32_t st_at(unsigned i) { return kStAt + static_cast<int32_t>(i) * 16; }

    const ThunkCache::Common& common_;
    const Recipe& recipe_;
    const Usage& use_;
    Assembler a_;
    size_t live_offset_ = 0;
};

namespace {

// jmp [rip + 0], followed by the address.
void jump_far(Assembler& a, ThunkCode target) {
    a.bytes({0xFF, 0x25, 0, 0, 0, 0});
    a.qword(std::bit_cast<uint64_t>(target));
}

// Saves the guest's x87 state into cpu (rdi) and makes the host's x87 empty. FIP, FDP and FOP stay
// what x87_next and the handlers made them: the host's own would be addresses of thunks. FXSAVE is
// not a waiting instruction, EMMS is.
void spill(Assembler& a, const uint8_t* constants) {
    a.load64(kHostRax, kFipAt);
    a.load64(kHostRcx, kFdpAt);
    a.load16(kHostRdx, kFopAt);
    a.opcode({0x48, 0x0F, 0xAE}, 0, kFxsaveAt);  // fxsave64
    a.store64(kHostRax, kFipAt);
    a.store64(kHostRcx, kFdpAt);
    a.store16(kHostRdx, kFopAt);
    a.test8(kFswAt, kFswErrorSummary);
    a.bytes({0x74, 0x02, 0xDB, 0xE2});  // jz +2; fnclex
    a.bytes({0x0F, 0x77});              // emms
    a.bytes({0xD9, 0x2D});              // fldcw [rip + ...]
    a.dword(static_cast<uint32_t>(constants + 4 - (a.here() + 4)));
}

}  // namespace

ThunkCache& ThunkCache::instance() {
    static ThunkCache cache(kSharedSize);
    return cache;
}

ThunkCache::ThunkCache(size_t size) : memory_(size) {
    make_common();
}

void ThunkCache::make_common() {
    const auto add = [&](auto write) -> const uint8_t* {
        Assembler a(memory_.next());
        write(a);
        return memory_.add(a.code());
    };
    common_.constants = add([](Assembler& a) {
        a.dword(kHostMxcsr);
        a.word(kHostFcw);
    });
    if (common_.constants == nullptr) return;  // the host allows no generated code
    common_.unmasked = add([](Assembler& a) { jump_far(a, thunk_unmasked); });
    common_.x87_error = add([](Assembler& a) { jump_far(a, thunk_x87_error); });
    common_.enter_mmx = add([](Assembler& a) { jump_far(a, thunk_enter_mmx); });
    spill_x87_ = std::bit_cast<void (*)(Cpu&)>(add([&](Assembler& a) {
        spill(a, common_.constants);
        a.bytes({0xC3});
    }));
    // The end of x87 thunks: note the instruction; if the next Op is x87 as well and nothing can be
    // unmasked, enter it with the state where it is.
    common_.x87_next = add([&](Assembler& a) {
        constexpr auto kExtra = static_cast<uint8_t>(offsetof(Op, extra));
        constexpr auto kBits = static_cast<uint8_t>(offsetof(Op, bits) + 1);
        a.bytes({0x48, 0x8B, 0x46, kExtra});  // mov rax, [rsi + extra]
        a.bytes({0x48, 0x8B, 0x48,
                 static_cast<uint8_t>(offsetof(X87Thunk, rip))});  // mov rcx, [rax + rip]
        a.bytes({0x0F, 0xB7, 0x50, static_cast<uint8_t>(offsetof(X87Thunk, opcode))});
        a.store64(kHostRcx, kFipAt);
        a.store16(kHostRdx, kFopAt);
        a.bytes({0x48, 0x83, 0xC6, static_cast<uint8_t>(sizeof(Op))});
        a.bytes({0xF6, 0x46, kBits, kX87Chain >> 8});  // test byte [rsi + bits + 1], kX87Chain
        a.bytes({0x74, 0x15});                         // jz spill
        a.opcode({0x8A}, kHostRax, kFcwAt);            // mov al, fcw
        a.bytes({0xF6, 0xD0, 0xA8, 0x3F});             // not al; test al, 0x3F
        a.bytes({0x75, 0x09});                         // jnz spill
        a.bytes({0x48, 0x8B, 0x46, kExtra});
        a.bytes(
            {0xFF, 0x60,
             static_cast<uint8_t>(offsetof(X87Thunk, live_handler))});  // jmp [rax + live_handler]
        a.bytes({0x0F, 0x0B});                                          // never reached
        spill(a, common_.constants);
        a.bytes({0xFF, 0x26});
    });
    const std::array<uint8_t, 512> room{};
    uncached_ = memory_.add(room);
}

namespace {

Thunk to_thunk(const Usage& usage) {
    Thunk thunk;
    thunk.memory_size = static_cast<uint8_t>(usage.memory_size);
    thunk.stores = usage.stores;
    thunk.uses_mxcsr = usage.mxcsr;
    thunk.uses_mmx = usage.mmx;
    thunk.is_x87 = usage.x87;
    return thunk;
}

// After code was changed through another mapping (Intel SDM vol. 3 section 8.1.3).
void serialise() {
    uint32_t leaf = 0;
    uint32_t subleaf = 0;
    __asm__ volatile("cpuid" : "+a"(leaf), "+c"(subleaf) : : "ebx", "edx", "memory");
}

}  // namespace

bool ThunkCache::describe(const Recipe& recipe, Thunk& thunk) {
    RecipeDetails details;
    if (instance().uncached_ == nullptr || !decode_recipe(recipe, details)) return false;
    thunk = to_thunk(Analyst(recipe, details).analyse());
    return true;
}

const Thunk* ThunkCache::find(const Recipe& recipe) {
    const MutexLock lock(mutex_);
    if (const auto found = thunks_.find(recipe); found != thunks_.end()) return &found->second;
    RecipeDetails details;
    if (uncached_ == nullptr || !decode_recipe(recipe, details)) return nullptr;
    const Usage usage = Analyst(recipe, details).analyse();
    ThunkWriter writer(common_, recipe, usage, memory_.next());
    const uint8_t* code = memory_.add(writer.write());
    if (code == nullptr) return nullptr;
    Thunk thunk = to_thunk(usage);
    thunk.code = std::bit_cast<ThunkCode>(code);
    thunk.live_code = std::bit_cast<ThunkCode>(code + writer.live_offset());
    return &thunks_.emplace(recipe, thunk).first->second;
}

bool ThunkCache::run_uncached(const Recipe& recipe, Cpu& cpu, const Op* op, void* memory) {
    RecipeDetails details;
    if (!decode_recipe(recipe, details)) return cpu.raise_ud(op);
    const Usage usage = Analyst(recipe, details).analyse();
    const MutexLock lock(mutex_);
    ThunkWriter writer(common_, recipe, usage, uncached_);
    memory_.replace(uncached_, writer.write());
    serialise();
    Thunk thunk = to_thunk(usage);
    thunk.code = std::bit_cast<ThunkCode>(uncached_);
    return run_thunk(cpu, op, thunk, memory);
}

}  // namespace banyan::interp
