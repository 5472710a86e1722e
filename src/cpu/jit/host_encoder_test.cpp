// What the encoder writes, read back by Zydis: the same instruction on other registers.
#include "cpu/jit/host_encoder.hpp"

#include <gtest/gtest.h>
#include <ostream>
#include <string>
#include <vector>

#include "cpu/interp/arena.hpp"
#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/zydis_registers.hpp"

namespace banyan::jit {
namespace {

using Registers = std::array<uint8_t, 16>;

// Every register that is not implied goes to another one; RSP and 9 to 11 to the temporaries, as in
// translations.
constexpr Registers kAll = {3, 5, 6, 7, 11, 8, 12, 13, 14, 10, 11, 10, 15, 0, 1, 2};
constexpr Registers kSame = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr Registers kStandIns = {0, 1, 2, 3, 11, 5, 6, 7, 8, 11, 10, 11, 12, 13, 14, 15};

struct Text {
    const char* name;
    std::vector<uint8_t> bytes;
    friend std::ostream& operator<<(std::ostream& out, const Text& text) {
        return out << text.name;
    }
};

struct Read {
    ZydisDecodedInstruction in{};
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands{};
};

Read read(std::span<const uint8_t> bytes) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    Read result;
    EXPECT_TRUE(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(),
                                                    &result.in, result.operands.data())));
    EXPECT_EQ(result.in.length, bytes.size());
    return result;
}

bool is_implied(const ZydisDecodedOperand& operand) {
    return operand.encoding == ZYDIS_OPERAND_ENCODING_NONE ||
           operand.visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
}

// AH to DH have no other names.
ZydisRegister renamed(const ZydisDecodedOperand& operand, const Registers& host_of) {
    const ZydisRegister reg = operand.reg.value;
    const uint8_t offset = interp::gpr_offset(reg);
    if (!interp::is_gpr(operand) || is_implied(operand) || offset % 8 != 0) return reg;
    const ZydisRegisterClass kind = ZydisRegisterGetClass(reg);
    const uint8_t number = host_of[offset / 8];
    // Zydis counts AH to BH among the 8-bit registers.
    const bool after_high = kind == ZYDIS_REGCLASS_GPR8 && number >= 4;
    return ZydisRegisterEncode(kind, static_cast<ZyanU8>(after_high ? number + 4 : number));
}

class Encoding : public testing::TestWithParam<Text> {
protected:
    Encoding() : model_(*interp::CpuModel::create("max", 1, 1'000'000'000)) {
        std::vector<uint8_t> bytes = GetParam().bytes;
        bytes.resize(16);
        const unsigned length =
            interp::decode(bytes.data(), 15, 0x1000,
                           interp::Mode{interp::Mode::kCode64 | interp::Mode::kProtected |
                                        interp::Mode::kLongMode},
                           model_, arena_, op_);
        EXPECT_EQ(length, GetParam().bytes.size());
        analyse(op_, 0x1000, bytes.data(), UndefinedFlags::any, guest_);
        EXPECT_EQ(guest_.kind, Kind::native);
    }

    std::vector<uint8_t> encode(const Registers& host_of, HostAddress address,
                                unsigned in_memory = HostEncoder::kNone) {
        const HostEncoder encoder(guest_, host_of, address, in_memory);
        return {encoder.code().begin(), encoder.code().end()};
    }

    void check(const Registers& host_of, HostAddress address,
               unsigned in_memory = HostEncoder::kNone) {
        const std::vector<uint8_t> code = encode(host_of, address, in_memory);
        ASSERT_FALSE(code.empty());
        const Read host = read(code);
        const ZydisDecodedInstruction& guest = guest_.zydis;
        EXPECT_EQ(host.in.mnemonic, guest.mnemonic);
        EXPECT_EQ(host.in.operand_width, guest.operand_width);
        EXPECT_EQ(host.in.attributes & kPrefixes, guest.attributes & kPrefixes);
        EXPECT_EQ(host.in.avx.vector_length, guest.avx.vector_length);
        ASSERT_EQ(host.in.operand_count, guest.operand_count);
        for (unsigned i = 0; i < guest.operand_count; ++i) {
            SCOPED_TRACE("operand " + std::to_string(i));
            if (is_gpr_of(guest_.operands[i], in_memory)) {
                check_memory(guest_.operands[i], host.operands[i], address);
            } else {
                check_operand(guest_.operands[i], host.operands[i], host_of, address);
            }
        }
    }

private:
    static constexpr ZydisInstructionAttributes kPrefixes =
        ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPNE;

    static void check_operand(const ZydisDecodedOperand& guest, const ZydisDecodedOperand& host,
                              const Registers& host_of, HostAddress address) {
        ASSERT_EQ(host.type, guest.type);
        EXPECT_EQ(host.size, guest.size);
        EXPECT_EQ(host.actions, guest.actions);
        switch (guest.type) {
            case ZYDIS_OPERAND_TYPE_REGISTER:
                EXPECT_STREQ(ZydisRegisterGetString(host.reg.value),
                             ZydisRegisterGetString(renamed(guest, host_of)));
                break;
            case ZYDIS_OPERAND_TYPE_IMMEDIATE:
                EXPECT_EQ(host.imm.value.u, guest.imm.value.u);
                break;
            case ZYDIS_OPERAND_TYPE_MEMORY: check_memory(guest, host, address); break;
            default: FAIL() << "an operand of an unknown type";
        }
    }

    static bool is_gpr_of(const ZydisDecodedOperand& operand, unsigned gpr) {
        return interp::is_gpr(operand) && interp::gpr_offset(operand.reg.value) / 8U == gpr;
    }

    static void check_memory(const ZydisDecodedOperand& guest, const ZydisDecodedOperand& host,
                             HostAddress address) {
        ASSERT_EQ(host.type, ZYDIS_OPERAND_TYPE_MEMORY);
        EXPECT_EQ(host.size, guest.size);
        EXPECT_EQ(host.actions, guest.actions);
        EXPECT_EQ(ZydisRegisterGetId(host.mem.base), address.base);
        EXPECT_EQ(ZydisRegisterGetClass(host.mem.base), ZYDIS_REGCLASS_GPR64);
        EXPECT_EQ(host.mem.index, ZYDIS_REGISTER_NONE);
        EXPECT_EQ(host.mem.disp.value, address.displacement);
    }

    interp::CpuModel model_;
    interp::Arena arena_;
    interp::Op op_;

protected:
    Instruction guest_;
};

class Encodable : public Encoding {};

TEST_P(Encodable, SameRegisters) {
    check(kSame, {10, 0});
}

TEST_P(Encodable, StandIns) {
    check(kStandIns, {10, 0});
}

TEST_P(Encodable, AllRegistersChange) {
    check(kAll, {9, 0});
}

TEST_P(Encodable, Displacements) {
    for (const int32_t displacement :
         {1, 8, 127, 128, -1, -128, -129, 4096, 0x7FFFFFF0, -0x7FFFFFF0}) {
        SCOPED_TRACE(displacement);
        check(kStandIns, {9, displacement});
        check(kStandIns, {10, displacement});
    }
}

// Numbers that mean something else in a ModRM byte: a SIB byte follows, there is no base.
TEST_P(Encodable, BasesWithFormsOfTheirOwn) {
    for (const uint8_t base : std::array<uint8_t, 4>{4, 12, 5, 13}) {
        check(kSame, {base, 0});
        check(kSame, {base, 8});
    }
}

INSTANTIATE_TEST_SUITE_P(
    Registers, Encodable,
    testing::Values(Text{"add rax, rbx", {0x48, 0x01, 0xD8}},   //
                    Text{"add ax, bx", {0x66, 0x01, 0xD8}},     //
                    Text{"add al, bl", {0x00, 0xD8}},           //
                    Text{"mov sil, dil", {0x40, 0x88, 0xFE}},   //
                    Text{"mov spl, al", {0x40, 0x88, 0xC4}},    //
                    Text{"mov r9b, r10b", {0x45, 0x88, 0xD1}},  //
                    Text{"xor r9d, r14d", {0x45, 0x31, 0xF1}},  //
                    Text{"mov r9, imm64", {0x49, 0xB9, 1, 2, 3, 4, 5, 6, 7, 8}},
                    Text{"mov ecx, imm32", {0xB9, 1, 2, 3, 4}},       //
                    Text{"mov bpl, imm8", {0x40, 0xB5, 0x7F}},        //
                    Text{"add r12, imm8", {0x49, 0x83, 0xC4, 0x80}},  //
                    Text{"add bx, imm16", {0x66, 0x81, 0xC3, 0x34, 0x12}},
                    Text{"shl rdx, cl", {0x48, 0xD3, 0xE2}},  //
                    Text{"rol ebx, 1", {0xD1, 0xC3}},         //
                    Text{"shld rbx, rsi, 7", {0x48, 0x0F, 0xA4, 0xF3, 7}},
                    Text{"movzx r8d, bpl", {0x44, 0x0F, 0xB6, 0xC5}},  //
                    Text{"movsxd rbx, esi", {0x48, 0x63, 0xDE}},       //
                    Text{"imul rbx, rsi, imm32", {0x48, 0x69, 0xDE, 4, 3, 2, 1}},
                    Text{"bswap r13", {0x49, 0x0F, 0xCD}},             //
                    Text{"setc dil", {0x40, 0x0F, 0x92, 0xC7}},        //
                    Text{"cmovs rbx, r15", {0x49, 0x0F, 0x48, 0xDF}},  //
                    Text{"popcnt rbx, r8", {0xF3, 0x49, 0x0F, 0xB8, 0xD8}},
                    Text{"crc32 ebx, r9b", {0xF2, 0x41, 0x0F, 0x38, 0xF0, 0xD9}},
                    Text{"xchg rbx, rsi", {0x48, 0x87, 0xF3}}));

INSTANTIATE_TEST_SUITE_P(
    Memory, Encodable,
    testing::Values(Text{"mov rbx, [rsi+8*rdi+64]", {0x48, 0x8B, 0x5C, 0xFE, 0x40}},
                    Text{"mov [rsp+16], rbx", {0x48, 0x89, 0x5C, 0x24, 0x10}},
                    Text{"mov r9b, [r13]", {0x45, 0x8A, 0x4D, 0x00}},  //
                    Text{"mov [rax], bpl", {0x40, 0x88, 0x28}},        //
                    Text{"mov dword [rip+x], imm32", {0xC7, 0x05, 1, 0, 0, 0, 4, 3, 2, 1}},
                    Text{"mov word [rbx+disp32], imm16",
                         {0x66, 0xC7, 0x83, 0, 1, 0, 0, 0x34, 0x12}},
                    Text{"add byte [r12], imm8", {0x41, 0x80, 0x04, 0x24, 5}},
                    Text{"lock xadd [rbx], rsi", {0xF0, 0x48, 0x0F, 0xC1, 0x33}},
                    Text{"lock cmpxchg [rbx], r9", {0xF0, 0x4C, 0x0F, 0xB1, 0x0B}},
                    Text{"fs mov rbx, [rsi]", {0x64, 0x48, 0x8B, 0x1E}},
                    Text{"mov ebx, [esi]", {0x67, 0x8B, 0x1E}},  //
                    Text{"shrd [rbx], rsi, 7", {0x48, 0x0F, 0xAC, 0x33, 7}},
                    Text{"mul qword [rbx]", {0x48, 0xF7, 0x23}},  //
                    Text{"setz [rbx]", {0x0F, 0x94, 0x03}}));

INSTANTIATE_TEST_SUITE_P(
    Vectors, Encodable,
    testing::Values(Text{"paddd xmm9, xmm10", {0x66, 0x45, 0x0F, 0xFE, 0xCA}},
                    Text{"movaps xmm9, [rbx]", {0x44, 0x0F, 0x28, 0x0B}},
                    Text{"movq xmm9, rbx", {0x66, 0x4C, 0x0F, 0x6E, 0xCB}},
                    Text{"pextrb ebx, xmm9, 3", {0x66, 0x44, 0x0F, 0x3A, 0x14, 0xCB, 3}},
                    Text{"cvtsi2sd xmm1, r9", {0xF2, 0x49, 0x0F, 0x2A, 0xC9}},
                    Text{"pshufb xmm1, [rbx]", {0x66, 0x0F, 0x38, 0x00, 0x0B}}));

INSTANTIATE_TEST_SUITE_P(
    Vex, Encodable,
    testing::Values(Text{"vpaddd ymm1, ymm2, ymm3", {0xC5, 0xED, 0xFE, 0xCB}},
                    Text{"vpaddd ymm9, ymm10, ymm11", {0xC4, 0x41, 0x2D, 0xFE, 0xCB}},
                    Text{"vpaddd xmm9, xmm2, [rbx+8]", {0xC5, 0x69, 0xFE, 0x4B, 0x08}},
                    Text{"vblendvps ymm1, ymm2, ymm3, ymm12", {0xC4, 0xE3, 0x6D, 0x4A, 0xCB, 0xC0}},
                    Text{"vpermq ymm1, [rbx], imm8", {0xC4, 0xE3, 0xFD, 0x00, 0x0B, 0x1B}},
                    Text{"vmovq xmm1, r9", {0xC4, 0xC1, 0xF9, 0x6E, 0xC9}},
                    Text{"vfmadd231pd ymm9, ymm2, [rbx]", {0xC4, 0x62, 0xED, 0xB8, 0x0B}},
                    Text{"andn rbx, rsi, rdi", {0xC4, 0xE2, 0xC8, 0xF2, 0xDF}},
                    Text{"andn r9, r10, [rbx]", {0xC4, 0x62, 0xA8, 0xF2, 0x0B}},
                    Text{"blsr rbx, rsi", {0xC4, 0xE2, 0xE0, 0xF3, 0xCE}},
                    Text{"rorx r9, rsi, 5", {0xC4, 0x63, 0xFB, 0xF0, 0xCE, 5}},
                    Text{"shlx ebx, [rsi], r9d", {0xC4, 0xE2, 0x31, 0xF7, 0x1E}}));

std::vector<Text> evex_texts() {
    if (!interp::CpuModel::create("max", 1, 1'000'000'000)->has(interp::Feature::avx512f))
        return {};
    return {
        {"vpaddd zmm31, zmm17, zmm18", {0x62, 0x21, 0x75, 0x40, 0xFE, 0xFA}},
        {"vaddps zmm1, zmm2, zmm3, {rz-sae}", {0x62, 0xF1, 0x6C, 0x78, 0x58, 0xCB}},
        {"vpaddd zmm31{k3}{z}, zmm2, [rdi]", {0x62, 0x61, 0x6D, 0xCB, 0xFE, 0x3F}},
        {"vpaddd zmm1, zmm2, [rsp+64]", {0x62, 0xF1, 0x6D, 0x48, 0xFE, 0x4C, 0x24, 0x01}},
        {"vpaddd zmm1, zmm2, [r12+4]{1to16}", {0x62, 0xD1, 0x6D, 0x58, 0xFE, 0x4C, 0x24, 0x01}},
        {"vmovups [r13-32], ymm20", {0x62, 0xC1, 0x7C, 0x28, 0x11, 0x65, 0xFF}},
        {"vpbroadcastd zmm1, r9d", {0x62, 0xD2, 0x7D, 0x48, 0x7C, 0xC9}},
        {"vcvtsi2sd xmm17, xmm1, r10", {0x62, 0xC1, 0xF7, 0x08, 0x2A, 0xCA}},
        {"vpcmpeqd k2{k1}, zmm2, zmm3", {0x62, 0xF1, 0x6D, 0x49, 0x76, 0xD3}},
        {"kmovq k1, rax", {0xC4, 0xE1, 0xFB, 0x92, 0xC8}},
        {"kmovw k2, [rdi]", {0xC5, 0xF8, 0x90, 0x17}},
        {"kortestw k1, k1", {0xC5, 0xF8, 0x98, 0xC9}},
    };
}
INSTANTIATE_TEST_SUITE_P(Evex, Encodable, testing::ValuesIn(evex_texts()));

// AH to DH cannot stand beside a register that needs a REX prefix.
class HighBytes : public Encoding {};

TEST_P(HighBytes, StayAsTheyAre) {
    check(kSame, {9, 0});
    check(kSame, {9, 300});
}

TEST_P(HighBytes, AreRefusedBesideRex) {
    Registers host_of = kSame;
    host_of[x86::kRcx] = 8;
    host_of[x86::kRbx] = 8;
    EXPECT_TRUE(encode(host_of, {10, 0}).empty());
    // SIL would read as DH without the prefix.
    host_of[x86::kRcx] = host_of[x86::kRbx] = 6;
    EXPECT_TRUE(encode(host_of, {10, 0}).empty());
}

INSTANTIATE_TEST_SUITE_P(Registers, HighBytes,
                         testing::Values(Text{"mov ah, cl", {0x88, 0xCC}},  //
                                         Text{"mov bl, dh", {0x88, 0xF3}},  //
                                         Text{"add cl, bh", {0x00, 0xF9}}));

class HighBytesInMemory : public Encoding {};

// R8 to R15 as a base need REX.B.
TEST_P(HighBytesInMemory, NeedALowBase) {
    check(kSame, {3, 0});
    check(kSame, {3, 8});
    EXPECT_TRUE(encode(kSame, {9, 0}).empty());
}

INSTANTIATE_TEST_SUITE_P(Memory, HighBytesInMemory,
                         testing::Values(Text{"mov [rbx], ah", {0x88, 0x23}},
                                         Text{"mov ch, [rbx+8]", {0x8A, 0x6B, 0x08}}));

// R9 is in memory, and is the only register of its number.
class InMemory : public Encoding {};

TEST_P(InMemory, IsAMemoryOperand) {
    ASSERT_TRUE(takes_register_in_memory(guest_, 9));
    for (const HostAddress address :
         {HostAddress{4, 72}, HostAddress{4, 200}, HostAddress{10, 0}}) {
        check(kSame, address, 9);
        check(kAll, address, 9);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Registers, InMemory,
    testing::Values(
        Text{"add r9, rbx", {0x49, 0x01, 0xD9}}, Text{"add rbx, r9", {0x4C, 0x01, 0xCB}},
        Text{"add r9, rbx (03)", {0x4C, 0x03, 0xCB}}, Text{"add rbx, r9 (03)", {0x49, 0x03, 0xD9}},
        Text{"mov r9b, sil", {0x41, 0x88, 0xF1}}, Text{"mov sil, r9b", {0x44, 0x88, 0xCE}},
        Text{"cmp ebx, r9d", {0x44, 0x39, 0xCB}},
        Text{"add r9w, imm16", {0x66, 0x41, 0x81, 0xC1, 0x34, 0x12}},
        Text{"shl r9, cl", {0x49, 0xD3, 0xE1}}, Text{"movzx ebx, r9w", {0x41, 0x0F, 0xB7, 0xD9}},
        Text{"imul rbx, r9", {0x49, 0x0F, 0xAF, 0xD9}},
        Text{"cmovs rbx, r9", {0x49, 0x0F, 0x48, 0xD9}}, Text{"mul r9", {0x49, 0xF7, 0xE1}}));

class NotInMemory : public Encoding {};

TEST_P(NotInMemory, IsRefused) {
    EXPECT_FALSE(takes_register_in_memory(guest_, 9));
}

INSTANTIATE_TEST_SUITE_P(Registers, NotInMemory,
                         testing::Values(Text{"add r9d, ebx", {0x41, 0x01, 0xD9}},
                                         Text{"add r9, r9", {0x4D, 0x01, 0xC9}},
                                         Text{"imul r9, rbx", {0x4C, 0x0F, 0xAF, 0xCB}},
                                         Text{"movzx r9, bl", {0x4C, 0x0F, 0xB6, 0xCB}},
                                         Text{"xchg r9, rbx", {0x49, 0x87, 0xD9}},
                                         Text{"bts rbx, r9", {0x4C, 0x0F, 0xAB, 0xCB}},
                                         Text{"bswap r9", {0x49, 0x0F, 0xC9}},
                                         Text{"mov r9, [rbx]", {0x4C, 0x8B, 0x0B}},
                                         Text{"cvtsi2sd xmm1, r9", {0xF2, 0x49, 0x0F, 0x2A, 0xC9}},
                                         Text{"add rbx, rsi", {0x48, 0x01, 0xF3}}));

}  // namespace
}  // namespace banyan::jit
