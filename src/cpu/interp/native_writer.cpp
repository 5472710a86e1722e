#include "cpu/interp/native_writer.hpp"

#include <algorithm>
#include <bit>

#include "cpu/interp/native_layout.hpp"
#include "cpu/interp/native_thunk.hpp"

namespace banyan::interp {
namespace {

enum HostRegister : unsigned { kHostRax = 0, kHostRcx = 1, kHostRdx = 2 };

constexpr int32_t ymm_at(unsigned i) {
    return kYmmAt + static_cast<int32_t>(i) * 32;
}
constexpr int32_t zmm_high_at(unsigned i) {
    return kZmmHighAt + static_cast<int32_t>(i) * 32;
}
constexpr int32_t high_zmm_at(unsigned i) {
    return kHighZmmAt + static_cast<int32_t>(i - 16) * 64;
}
constexpr int32_t opmask_at(unsigned i) {
    return kOpmaskAt + static_cast<int32_t>(i) * 8;
}
constexpr int32_t st_at(unsigned i) {
    return kStAt + static_cast<int32_t>(i) * 16;
}

// jmp [rip + 0], followed by the address.
void jump_far(Assembler& a, ThunkCode target) {
    a.bytes({0xFF, 0x25, 0, 0, 0, 0});
    a.qword(std::bit_cast<uint64_t>(target));
}

void load_mxcsr(Assembler& a) {
    a.opcode({0x0F, 0xAE}, 2, kMxcsrAt);
}
void store_mxcsr(Assembler& a) {
    a.opcode({0x0F, 0xAE}, 3, kMxcsrAt);
}

void next_op(Assembler& a) {
    a.bytes({0x48, 0x83, 0xC6, static_cast<uint8_t>(sizeof(Op))});  // add rsi, sizeof(Op)
    a.bytes({0xFF, 0x26});                                          // jmp [rsi]
}

// Only while all SIMD exceptions are masked: the host's process must never see SIGFPE.
void write_enter_mxcsr(Assembler& a, const uint8_t* unmasked) {
    a.opcode({0x8B}, kHostRax, kMxcsrAt);
    a.bytes({0xF7, 0xD0, 0xA9});  // not eax; test eax, masks
    a.dword(kMxcsrMasks);
    a.bytes({0x75, 0x0F});                     // jnz over the rest
    load_mxcsr(a);                             // 7 bytes
    a.or8(kLiveAt, Cpu::Vectors::kMxcsrLive);  // 7 bytes
    a.bytes({0xC3});
    a.bytes({0x48, 0x83, 0xC4, 8});  // add rsp, 8
    a.jump(unmasked);
}

// FXRSTOR loads an MXCSR, too: the one that C++ code wants. The state may stay where it is only
// while no x87 exception is unmasked, so that no other instruction of the host can find one
// pending.
void write_enter_x87(Assembler& a, const uint8_t* error) {
    a.test8(kFswAt, kFswErrorSummary);
    a.bytes({0x75, 0x3C});  // jnz to the end
    a.test8(kLiveAt, Cpu::Vectors::kMxcsrLive);
    a.bytes({0x74, 0x07});
    store_mxcsr(a);
    a.opcode({0x48, 0x0F, 0xAE}, 1, kFxsaveAt);  // fxrstor64: 8 bytes
    a.test8(kLiveAt, Cpu::Vectors::kMxcsrLive);
    a.bytes({0x74, 0x07});
    load_mxcsr(a);
    a.opcode({0x8A}, kHostRax, kFcwAt);  // mov al, fcw
    a.bytes({0xF6, 0xD0, 0xA8, 0x3F});   // not al; test al, 0x3F
    a.bytes({0x75, 0x07});
    a.or8(kLiveAt, Cpu::Vectors::kX87Live);
    a.bytes({0xC3});
    a.bytes({0x48, 0x83, 0xC4, 8});
    a.jump(error);
}

// Notes which instruction the x87 did last.
void write_x87_next(Assembler& a, const uint8_t* settle_next) {
    a.bytes(
        {0x48, 0x8B, 0x46, static_cast<uint8_t>(offsetof(Op, extra))});  // mov rax, [rsi + extra]
    a.bytes(
        {0x48, 0x8B, 0x48, static_cast<uint8_t>(offsetof(X87Thunk, rip))});  // mov rcx, [rax + rip]
    a.bytes({0x0F, 0xB7, 0x50, static_cast<uint8_t>(offsetof(X87Thunk, opcode))});
    a.store64(kHostRcx, kFipAt);
    a.store16(kHostRdx, kFopAt);
    a.test8(kLiveAt, Cpu::Vectors::kX87Live);
    a.bytes({0x74, 0x06});
    next_op(a);  // 6 bytes
    a.jump(settle_next);
}

}  // namespace

CommonCode::CommonCode(CodeMemory& memory) {
    const auto add = [&](auto write) -> const uint8_t* {
        Assembler a(memory.next());
        write(a);
        return memory.add(a.code());
    };
    unmasked_ = add([](Assembler& a) { jump_far(a, thunk_unmasked); });
    x87_error_ = add([](Assembler& a) { jump_far(a, thunk_x87_error); });
    enter_mmx_ = add([](Assembler& a) { jump_far(a, thunk_enter_mmx); });
    settle_next_ = add([](Assembler& a) { jump_far(a, thunk_x87_settle_next); });
    enter_mxcsr_ = add([this](Assembler& a) { write_enter_mxcsr(a, unmasked_); });
    enter_x87_ = add([this](Assembler& a) { write_enter_x87(a, x87_error_); });
    x87_next_ = add([this](Assembler& a) { write_x87_next(a, settle_next_); });
}

ThunkWriter::ThunkWriter(const CommonCode& common, const Recipe& recipe, const Usage& usage,
                         const uint8_t* place)
    : common_(common), recipe_(recipe), use_(usage), a_(place) {
    if (use_.x87) {
        write_x87();
    } else {
        write_plain();
    }
}

void ThunkWriter::write_plain() {
    if (use_.mmx) check_mmx();
    if (use_.mxcsr) {
        a_.test8(kLiveAt, Cpu::Vectors::kMxcsrLive);
        a_.bytes({0x75, 0x05});  // jnz over the call
        a_.call(common_.enter_mxcsr());
    }
    if (use_.memory_size != 0) a_.bytes({0x49, 0x89, 0xD1});  // mov r9, rdx
    load_vectors();
    load_others();
    if (use_.flags) load_flags();
    a_.bytes(std::span<const uint8_t>(recipe_.code.data(), recipe_.length));
    store_registers();
    if (use_.flags) store_flags();
    if (use_.clears_zmm_high || use_.evex) clear_zmm_high();
    if (use_.wide) a_.bytes({0xC5, 0xF8, 0x77});  // vzeroupper
    if (use_.mmx) a_.bytes({0x0F, 0x77});         // emms
    next_op(a_);
}

void ThunkWriter::write_x87() {
    a_.test8(kLiveAt, Cpu::Vectors::kX87Live);
    a_.bytes({0x75, 0x05});
    a_.call(common_.enter_x87());
    if (use_.memory_size != 0) a_.bytes({0x49, 0x89, 0xD1});
    if (use_.flags) load_flags();
    a_.bytes(std::span<const uint8_t>(recipe_.code.data(), recipe_.length));
    if (use_.flags) store_flags();
    a_.jump(common_.x87_next());
}

// MMX registers are taken from the saved x87 state. Intel SDM vol. 3 section 12.2: MMX instructions
// set TOP to 0 and all tags to valid; pending x87 errors come first.
void ThunkWriter::check_mmx() {
    a_.test8(kFswAt, kFswErrorSummary);
    a_.jump_if_not_zero(common_.x87_error());
    a_.test8(kLiveAt, Cpu::Vectors::kX87Live);
    a_.jump_if_not_zero(common_.enter_mmx());
    a_.test8(kFswAt + 1, 0x38);
    a_.jump_if_not_zero(common_.enter_mmx());
}

void ThunkWriter::load_vectors() {
    for (unsigned i = 0; i < 32; ++i) {
        if (const unsigned size = use_.vectors[i].read; size != 0) load_vector(i, size);
    }
}

void ThunkWriter::load_vector(unsigned i, unsigned size) {
    if (i >= 16) return a_.load_high_zmm(i, high_zmm_at(i));
    if (!use_.vex) return a_.load_xmm(i, ymm_at(i));
    a_.load_vex(i, ymm_at(i), std::min(size, 32U));
    if (size == 64) a_.insert_zmm_high(i, zmm_high_at(i));
}

void ThunkWriter::store_vector(unsigned i, unsigned size) {
    if (i >= 16) return a_.store_high_zmm(i, high_zmm_at(i));
    if (size == 16) return a_.store_xmm(i, ymm_at(i));
    a_.store_vex(i, ymm_at(i), 32);
    if (size != 64) return;
    a_.extract_zmm_high(i, zmm_high_at(i));
    a_.set8(kZmmHighInUseAt, 1);
}

// Shorter results leave nothing in bits 511:256 (Intel SDM vol. 1 section 14.2.1.1).
void ThunkWriter::clear_zmm_high() {
    constexpr unsigned kStore = 9;  // bytes
    const auto is_short = [](const Usage::Vector& v) { return v.write == 32; };
    const auto* const end = use_.vectors.begin() + 16;
    const auto count = static_cast<unsigned>(std::count_if(use_.vectors.begin(), end, is_short));
    if (count == 0) return;
    a_.test8(kZmmHighInUseAt, 0xFF);
    a_.bytes({0x74, static_cast<uint8_t>(4 + count * kStore)});  // jz over the rest
    a_.bytes({0xC5, 0xF8, 0x57, 0xC0});                          // vxorps xmm0, xmm0, xmm0
    for (unsigned i = 0; i < 16; ++i) {
        if (is_short(use_.vectors[i])) a_.store_vex(0, zmm_high_at(i), 32);
    }
}

void ThunkWriter::load_others() {
    for (unsigned i = 0; i < 8; ++i) {
        if (use_.mmx_read[i]) a_.load_mmx(i, st_at(i));
        if (use_.opmask_read[i]) a_.load_opmask(i, opmask_at(i));
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
void ThunkWriter::store_registers() {
    for (unsigned i = 0; i < 32; ++i) {
        if (const unsigned size = use_.vectors[i].write; size != 0) store_vector(i, size);
    }
    for (unsigned i = 0; i < 8; ++i) {
        if (use_.opmask_write[i]) a_.store_opmask(i, opmask_at(i));
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

// As in arithmetic.hpp; RAX only counts as an operand of instructions that write no flags but all
// of them, whose incoming ones do not matter.
void ThunkWriter::load_flags() {
    if (uses_rax()) return;
    a_.load16(kHostRax, kArithAt);
    a_.bytes({0x04, 0x7F});  // add al, 0x7F: OF
    a_.bytes({0x9E});        // sahf
}

void ThunkWriter::store_flags() {
    a_.bytes({0x9F, 0x0F, 0x90, 0xC0});  // lahf; seto al
    a_.store16(kHostRax, kArithAt);
}

bool ThunkWriter::uses_rax() const {
    return std::any_of(use_.general.begin(), use_.general.begin() + use_.general_count,
                       [](const Usage::General& g) { return g.host == kHostRax; });
}

}  // namespace banyan::interp
