#include "conformance/generator.hpp"

#include <algorithm>
#include <cstring>

#include "conformance/exclusions.hpp"
#include "conformance/offered.hpp"
#include "cpu/interp/zydis_decoder.hpp"

namespace banyan::conformance {

namespace {

constexpr unsigned kMaxInstructions = 4;
constexpr uint64_t kMaxRepeat = 64;  // REP counts: long enough for pages to be crossed

bool is_gpr(ZydisRegister r) {
    const ZydisRegisterClass c = ZydisRegisterGetClass(r);
    return c == ZYDIS_REGCLASS_GPR64 || c == ZYDIS_REGCLASS_GPR32;
}

bool uses_memory_implicitly(const ZydisDecodedInstruction& instruction) {
    return instruction.meta.category == ZYDIS_CATEGORY_STRINGOP ||
           instruction.mnemonic == ZYDIS_MNEMONIC_XLAT;
}

}  // namespace

Generator::Generator(uint64_t seed) : seed_(seed), decoder_(interp::make_decoder64()) {}

void Generator::append_prefixes(std::vector<uint8_t>& bytes) {
    if (chance(20)) bytes.push_back(0x66);
    if (chance(12))
        bytes.push_back(0xF3);
    else if (chance(12))
        bytes.push_back(0xF2);
    if (chance(3)) bytes.push_back(0xF0);
    if (chance(4)) bytes.push_back(0x67);
    if (chance(50)) bytes.push_back(static_cast<uint8_t>(0x40 | (random() & 15)));
}

void Generator::append_vex(std::vector<uint8_t>& bytes) {
    if (chance(30)) {
        bytes.push_back(0xC5);
        bytes.push_back(static_cast<uint8_t>(random()));
        return;
    }
    bytes.push_back(0xC4);
    bytes.push_back(static_cast<uint8_t>((random() & 0xE0) | (1 + random() % 3)));
    bytes.push_back(static_cast<uint8_t>(random()));
}

void Generator::append_evex(std::vector<uint8_t>& bytes) {
    bytes.push_back(0x62);
    bytes.push_back(static_cast<uint8_t>((random() & 0xF0) | (1 + random() % 3)));
    bytes.push_back(static_cast<uint8_t>(random() | 4));
    bytes.push_back(static_cast<uint8_t>(random()));
}

std::vector<uint8_t> Generator::random_encoding() {
    std::vector<uint8_t> bytes;
    const uint64_t kind = random() % 100;
    const bool evex = (offered_components() & x86::kXcr0Avx512) != 0 && kind < 18;
    if (evex) {
        append_evex(bytes);
    } else if (kind < 36) {
        append_vex(bytes);
    } else {
        append_prefixes(bytes);
        if (kind < 70) bytes.push_back(0x0F);
        if (kind >= 58 && kind < 70) bytes.push_back(chance(60) ? 0x38 : 0x3A);
        if (kind >= 90) bytes.push_back(static_cast<uint8_t>(0xD8 + random() % 8));  // x87
    }
    while (bytes.size() < 15)
        bytes.push_back(static_cast<uint8_t>(random()));
    return bytes;
}

Generator::Picked Generator::pick_instruction() {
    for (;;) {
        Picked picked;
        picked.bytes = random_encoding();
        const ZyanStatus status =
            ZydisDecoderDecodeFull(&decoder_, picked.bytes.data(), picked.bytes.size(),
                                   &picked.instruction, picked.operands);
        if (!ZYAN_SUCCESS(status) || !is_allowed(picked.instruction, picked.operands)) continue;
        picked.bytes.resize(picked.instruction.length);
        return picked;
    }
}

// Values at the edges more often than in the middle.
uint64_t Generator::random_integer() {
    switch (random() % 8) {
        case 0: return 0;
        case 1: return random() % 256;
        case 2: return ~uint64_t{0} - random() % 4;
        case 3: return uint64_t{1} << (random() % 64);
        case 4: return (uint64_t{1} << (random() % 64)) - 1;
        case 5: return static_cast<uint32_t>(random());
        default: return random();
    }
}

// Zeroes, ones, infinities, NaNs, denormals and ordinary numbers of both widths.
void Generator::put_float_patterns(std::byte* to, size_t size) {
    static constexpr std::array<uint64_t, 14> kDoubles = {
        0x0000000000000000, 0x8000000000000000, 0x3FF0000000000000, 0xBFF0000000000000,
        0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0x7FF0000000000001,
        0x0000000000000001, 0x000FFFFFFFFFFFFF, 0x7FEFFFFFFFFFFFFF, 0x4059000000000000,
        0x3F50624DD2F1A9FC, 0x0010000000000000};
    static constexpr std::array<uint32_t, 14> kSingles = {
        0x00000000, 0x80000000, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000,
        0x7F800001, 0x00000001, 0x007FFFFF, 0x7F7FFFFF, 0x42C80000, 0x3A83126F, 0x00800000};
    for (size_t at = 0; at + 8 <= size; at += 8) {
        uint64_t value = random();
        if (chance(35))
            value = kDoubles[random() % kDoubles.size()];
        else if (chance(50))
            value = kSingles[random() % kSingles.size()] |
                    (uint64_t{kSingles[random() % kSingles.size()]} << 32);
        std::memcpy(to + at, &value, sizeof(value));
    }
}

void Generator::fill_vectors(Registers& registers) {
    put_float_patterns(registers.xsave.data() + 160, 256);
    put_float_patterns(registers.xsave.data() + x86::kXsaveAvxOffset, 256);
    uint64_t present = offered_components();
    if ((present & x86::kXcr0Avx512) != 0) fill_avx512(registers);
    if (chance(25)) present &= ~uint64_t{x86::kXcr0ZmmHigh};
    uint32_t mxcsr = 0x1F80;
    if (chance(50)) mxcsr = static_cast<uint32_t>((random() & 0xE07F) | 0x1F80);  // all masked
    if (chance(10)) mxcsr = static_cast<uint32_t>(random() & 0xFFC0);             // some not
    std::memcpy(registers.xsave.data() + 24, &mxcsr, sizeof(mxcsr));
    std::memcpy(registers.xsave.data() + x86::kXsaveLegacySize, &present, sizeof(present));
}

// Opmasks of all kinds, more often with few bits that are clear.
void Generator::fill_avx512(Registers& registers) {
    std::byte* const area = registers.xsave.data();
    for (size_t i = 0; i < 8; ++i) {
        uint64_t opmask = random();
        if (chance(30)) opmask = chance(70) ? ~uint64_t{0} : 0;
        if (chance(30)) opmask |= random();
        std::memcpy(area + x86::kXsaveOpmaskOffset + i * 8, &opmask, sizeof(opmask));
    }
    put_float_patterns(area + x86::kXsaveZmmHighOffset, 512);
    put_float_patterns(area + x86::kXsaveHighZmmOffset, 1024);
}

void Generator::fill_x87(Registers& registers) {
    uint16_t control = 0x37F;
    if (chance(40)) control = static_cast<uint16_t>(0x7F | (random() & 0xF00));
    if (chance(10)) control = static_cast<uint16_t>(0x40 | (random() & 0xF3F));
    // Condition codes and top; no pending exception.
    const auto status = static_cast<uint16_t>(random() & 0x7F00);
    const auto tags = static_cast<uint8_t>(chance(30) ? 0xFF : random());
    std::memcpy(registers.xsave.data(), &control, 2);
    std::memcpy(registers.xsave.data() + 2, &status, 2);
    std::memcpy(registers.xsave.data() + 4, &tags, 1);
    for (size_t i = 0; i < 8; ++i) {
        std::byte* value = registers.xsave.data() + 32 + i * 16;
        put_float_patterns(value, 8);
        uint16_t exponent = static_cast<uint16_t>(random());
        if (chance(60))
            exponent = static_cast<uint16_t>(0x3FF0 + random() % 32) |
                       static_cast<uint16_t>(random() & 0x8000);
        if (chance(10)) exponent = chance(50) ? 0x7FFF : 0;
        std::memcpy(value + 8, &exponent, 2);
        // Mostly numbers of the usual kind: with the integer bit.
        if (chance(85) && (exponent & 0x7FFF) != 0) value[7] |= std::byte{0x80};
    }
}

// `masked`: parts of the operand may lie beyond the pages' ends.
uint64_t Generator::data_address(bool masked) {
    uint64_t offset = random() % kWritableSize;
    if (chance(60)) offset &= ~uint64_t{31};
    if (chance(4)) offset = kWritableSize + random() % 4096;
    if (chance(2)) offset = kDataSize - random() % 40;
    if (masked && chance(20)) offset = (chance(50) ? kDataSize : kWritableSize) - random() % 72;
    if (masked && chance(6)) offset = 0 - random() % 72;
    return kDataPages + offset;
}

// Of a gather or scatter: small ones, whether they have 32 bits or 64.
void Generator::fill_indices(unsigned vector, Registers& registers) {
    for (size_t at = 0; at < 64; at += 8) {
        size_t place = x86::kXsaveHighZmmOffset + (vector - 16) * 64 + at;
        if (vector < 16) place = x86::kXsaveZmmHighOffset + vector * 32 + at - 32;
        if (vector < 16 && at < 32) place = x86::kXsaveAvxOffset + vector * 16 + at - 16;
        if (vector < 16 && at < 16) place = 160 + vector * 16 + at;
        const uint64_t index = chance(90) ? random() % 64 : random();
        std::memcpy(registers.xsave.data() + place, &index, sizeof(index));
    }
}

// Sets the registers of a memory operand so that it falls near the data pages, mostly inside.
// `pinned` holds registers that earlier instructions of the case rely on.
bool Generator::aim_memory(const Picked& picked, Registers& registers, uint16_t& pinned) {
    const bool masked = picked.instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    const auto pin = [&](unsigned r, uint64_t value) {
        if ((pinned & (1U << r)) != 0) return false;
        registers.gpr[r] = value;
        pinned = static_cast<uint16_t>(pinned | (1U << r));
        return true;
    };
    if (uses_memory_implicitly(picked.instruction)) {
        if (picked.instruction.address_width != 64) return false;
        if ((picked.instruction.attributes &
             (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0 &&
            !pin(x86::kRcx, random() % kMaxRepeat)) {
            return false;
        }
        if (picked.instruction.mnemonic == ZYDIS_MNEMONIC_XLAT)
            return pin(x86::kRbx, data_address(masked));
        return pin(x86::kRsi, data_address(masked)) && pin(x86::kRdi, data_address(masked));
    }
    for (unsigned i = 0; i < picked.instruction.operand_count; ++i) {
        const ZydisDecodedOperand& operand = picked.operands[i];
        if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN)
            continue;
        const auto& mem = operand.mem;
        if (!is_gpr(mem.base) || mem.base == mem.index || picked.instruction.address_width == 16)
            return false;
        uint64_t address = data_address(masked) - static_cast<uint64_t>(mem.disp.value);
        if (is_gpr(mem.index)) {
            const uint64_t index = chance(70) ? random() % 8 : 0 - random() % 8;
            if (!pin(static_cast<unsigned>(ZydisRegisterGetId(mem.index)), index)) return false;
            address -= index * mem.scale;
        } else if (mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
            fill_indices(static_cast<unsigned>(ZydisRegisterGetId(mem.index)), registers);
        }
        // PUSH and POP with a memory operand have two of them; RSP is aimed once.
        const auto base = static_cast<unsigned>(ZydisRegisterGetId(mem.base));
        if (operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && (pinned & (1U << base)) != 0)
            continue;
        if (!pin(base, address)) return false;
    }
    return true;
}

void Generator::note_coverage(const ZydisDecodedInstruction& instruction) {
    const bool in_register = instruction.raw.modrm.mod == 3;
    mnemonics_.insert(instruction.mnemonic);
    forms_.insert((uint64_t{instruction.mnemonic} << 32) | (uint64_t{instruction.opcode} << 24) |
                  (uint64_t{instruction.operand_width} << 12) |
                  (static_cast<uint64_t>(instruction.encoding) << 8) |
                  (static_cast<uint64_t>(instruction.avx.vector_length) / 128 << 4) |
                  (in_register ? 1U : 0U));
}

namespace {

// Which flags are undefined after one more instruction.
void note_flags(const ZydisDecodedInstruction& instruction, TestCase& test) {
    const ZydisAccessedFlags* flags = instruction.cpu_flags;
    if (flags == nullptr) return;
    test.reads_undefined_flags |= (flags->tested & test.undefined_flags) != 0;
    // A shift by nothing leaves what was there.
    const bool shift = instruction.meta.category == ZYDIS_CATEGORY_SHIFT ||
                       instruction.meta.category == ZYDIS_CATEGORY_ROTATE;
    if (!shift) test.undefined_flags &= ~(flags->modified | flags->set_0 | flags->set_1);
    test.undefined_flags |= flags->undefined & x86::kArithmeticFlags;
}

}  // namespace

TestCase Generator::make(uint64_t number) {
    random_.seed(seed_ * 0x9E3779B97F4A7C15 + number);
    TestCase test;
    for (auto& value : test.before.gpr)
        value = random_integer();
    // Small signed values make bit strings and shifts stay near.
    test.before.gpr[x86::kRsp] = kDataPages + 4096;
    test.before.rflags = random() & (x86::kArithmeticFlags | (chance(10) ? x86::kDf : 0U));
    fill_vectors(test.before);
    fill_x87(test.before);
    test.data.resize(kDataSize);
    put_float_patterns(test.data.data(), test.data.size());

    uint16_t pinned = 1U << x86::kRsp;
    ZydisFormatter formatter;
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    const unsigned wanted = chance(60) ? 1 : 1 + static_cast<unsigned>(random() % kMaxInstructions);
    for (unsigned made = 0; made < wanted;) {
        const Picked picked = pick_instruction();
        const uint16_t pinned_before = pinned;
        if (!aim_memory(picked, test.before, pinned)) {
            pinned = pinned_before;
            continue;
        }
        char text[128];
        ZydisFormatterFormatInstruction(&formatter, &picked.instruction, picked.operands,
                                        picked.instruction.operand_count_visible, text,
                                        sizeof(text), kCodePage + test.code.size(), nullptr);
        test.listing += std::string("    ") + text + "\n";
        note_coverage(picked.instruction);
        note_flags(picked.instruction, test);
        test.simd_flags_ignored |= simd_flags_ignored(picked.instruction.mnemonic);
        test.any_fault_address |= reads_two_operands(picked.instruction.mnemonic);
        test.code.insert(test.code.end(), picked.bytes.begin(), picked.bytes.end());
        ++made;
    }
    test.code.push_back(0xCC);
    return test;
}

}  // namespace banyan::conformance
