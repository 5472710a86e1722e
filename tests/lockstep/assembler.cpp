#include "lockstep/assembler.hpp"

#include <algorithm>
#include <cstring>

#include "support/assert.hpp"

namespace banyan::lockstep {

namespace {

constexpr uint64_t kUnbound = ~uint64_t{0};
constexpr size_t kMargin = 64;  // bytes that stay free for what has to follow

}  // namespace

Operand reg(ZydisRegister r) {
    Operand operand{};
    operand.type = ZYDIS_OPERAND_TYPE_REGISTER;
    operand.reg.value = r;
    return operand;
}

Operand imm(uint64_t value) {
    Operand operand{};
    operand.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
    operand.imm.u = value;
    return operand;
}

Operand imm32(uint32_t value) {
    return imm(static_cast<uint64_t>(static_cast<int32_t>(value)));
}

Operand mem(unsigned size, ZydisRegister base, int64_t displacement, ZydisRegister index,
            unsigned scale) {
    Operand operand{};
    operand.type = ZYDIS_OPERAND_TYPE_MEMORY;
    operand.mem.base = base;
    operand.mem.index = scale == 0 ? ZYDIS_REGISTER_NONE : index;
    operand.mem.scale = static_cast<ZyanU8>(scale);
    operand.mem.displacement = displacement;
    operand.mem.size = static_cast<ZyanU16>(size);
    return operand;
}

Operand at(unsigned size, uint64_t linear) {
    return mem(size, ZYDIS_REGISTER_RIP, static_cast<int64_t>(linear));
}

ZydisRegister gpr(unsigned number, unsigned size) {
    const auto id = static_cast<ZyanU8>(number);
    switch (size) {
        case 1: return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR8, number < 4 ? id : id + 4);
        case 2: return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR16, id);
        case 4: return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR32, id);
        default: return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR64, id);
    }
}

uint8_t flag_mask(const ZydisDecodedInstruction& instruction) {
    const ZydisAccessedFlags* flags = instruction.cpu_flags;
    if (flags == nullptr) return 0;
    const uint32_t written = flags->modified | flags->set_0 | flags->set_1 | flags->undefined;
    const uint32_t overflow = (written & ZYDIS_CPUFLAG_OF) != 0 ? 2U : 0U;
    return static_cast<uint8_t>((written & 0xD5) | overflow);
}

Assembler::Assembler(std::span<uint8_t> bytes, uint64_t linear) : bytes_(bytes), linear_(linear) {
    notes_.lengths.resize(bytes.size());
    notes_.flag_masks.resize(bytes.size());
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

bool Assembler::emit(ZydisMnemonic mnemonic, std::initializer_list<Operand> operands,
                     ZydisInstructionAttributes prefixes) {
    return emit(mnemonic, std::span(operands.begin(), operands.size()), prefixes);
}

bool Assembler::emit(ZydisMnemonic mnemonic, std::span<const Operand> operands,
                     ZydisInstructionAttributes prefixes) {
    ZydisEncoderRequest request{};
    request.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
    request.mnemonic = mnemonic;
    request.prefixes = prefixes;
    request.allowed_encodings = static_cast<ZydisEncodableEncoding>(
        ZYDIS_ENCODABLE_ENCODING_LEGACY | ZYDIS_ENCODABLE_ENCODING_VEX);
    request.operand_count = static_cast<ZyanU8>(operands.size());
    std::copy(operands.begin(), operands.end(), request.operands);
    uint8_t code[ZYDIS_MAX_INSTRUCTION_LENGTH];
    ZyanUSize length = sizeof(code);
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstructionAbsolute(&request, code, &length, here()))) {
        return false;
    }
    return emit_bytes({code, length});
}

bool Assembler::emit_bytes(std::span<const uint8_t> bytes) {
    if (room() < bytes.size() + kMargin) {
        overflowed_ = true;
        return false;
    }
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(used_));
    note(used_, static_cast<unsigned>(bytes.size()));
    used_ += bytes.size();
    return true;
}

void Assembler::note(uint64_t offset, unsigned length) {
    notes_.lengths[offset] = static_cast<uint8_t>(length);
    ZydisDecodedInstruction instruction;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder_, nullptr, &bytes_[offset], length,
                                                    &instruction))) {
        return;
    }
    notes_.flag_masks[offset] = flag_mask(instruction);
}

void Assembler::data(uint64_t value) {
    BANYAN_ASSERT(room() >= sizeof(value));
    std::memcpy(&bytes_[used_], &value, sizeof(value));
    used_ += sizeof(value);
}

Label Assembler::make_label() {
    labels_.push_back(kUnbound);
    return {static_cast<unsigned>(labels_.size() - 1)};
}

void Assembler::bind(Label label) {
    labels_[label.number] = used_;
}

void Assembler::add_fixup(Label label, unsigned size) {
    fixups_.push_back({used_ - size, used_, label.number, size});
}

// With a distance far away, so that its size does not depend on where the label comes to stand.
void Assembler::branch(ZydisMnemonic mnemonic, Label target, bool is_short) {
    if (emit(mnemonic, {imm(here() + (is_short ? 0x40 : 0x10000))}))
        add_fixup(target, is_short ? 1 : 4);
}

void Assembler::lea(ZydisRegister to, Label label) {
    if (emit(ZYDIS_MNEMONIC_LEA, {reg(to), at(8, here() + 0x10000)})) add_fixup(label, 4);
}

uint64_t Assembler::address(Label label) const {
    BANYAN_ASSERT(labels_[label.number] != kUnbound);
    return linear_ + labels_[label.number];
}

void Assembler::finish() {
    for (const Fixup& fixup : fixups_) {
        BANYAN_ASSERT(labels_[fixup.label] != kUnbound || overflowed_);
        const auto distance = static_cast<int64_t>(labels_[fixup.label] - fixup.end);
        BANYAN_ASSERT(overflowed_ || fixup.size == 4 || (distance >= -128 && distance < 128));
        std::memcpy(&bytes_[fixup.offset], &distance, fixup.size);
    }
    fixups_.clear();
}

}  // namespace banyan::lockstep
