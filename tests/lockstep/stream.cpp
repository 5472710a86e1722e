#include "lockstep/stream.hpp"

#include <algorithm>

namespace banyan::lockstep {

namespace {

constexpr uint64_t kPlainPages = 8;  // the first ones: page_tables.cpp

}  // namespace

Stream::Stream(Assembler& assembler, Random& random_numbers, const Settings& program_settings,
               bool at_cpl0, bool in_main)
    : a(assembler),
      random(random_numbers),
      settings(program_settings),
      supervisor(at_cpl0),
      main(in_main) {
    choose_registers();
}

// The same for the whole program: its functions use them too.
void Stream::choose_registers() {
    for (unsigned& counter : counters_) {
        counter = free_gpr();
        reserve(counter);
    }
    for (unsigned i = 0; i < 3; ++i) {
        const unsigned r = free_gpr();
        reserve(r);
        // The user's data from CPL 0: faults under SMAP.
        const bool far = supervisor && random.chance(settings.smap ? 4 : 35);
        const uint64_t start = far ? kUserWindow : window();
        pointers_.push_back({r, start + kData + random.below(kPlainPages * kPage)});
    }
}

void Stream::load_pointers() {
    for (const Pointer& pointer : pointers_)
        mov(reg(gpr(pointer.gpr)), imm(pointer.address));
}

bool Stream::are_free(std::initializer_list<unsigned> registers) const {
    return std::all_of(registers.begin(), registers.end(),
                       [this](unsigned r) { return is_free(r); });
}

unsigned Stream::free_gpr() {
    for (;;) {
        const auto r = static_cast<unsigned>(random.below(16));
        if (is_free(r)) return r;
    }
}

unsigned Stream::free_gpr_but(unsigned other) {
    for (;;) {
        const unsigned r = free_gpr();
        if (r != other) return r;
    }
}

// AH, CH, DH and BH now and then.
ZydisRegister Stream::byte_register(unsigned number) {
    if (number < 4 && random.chance(40))
        return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR8, static_cast<ZyanU8>(number + 4));
    return gpr(number, 1);
}

Operand Stream::source(unsigned size) {
    const auto r = static_cast<unsigned>(random.below(16));
    return reg(size == 1 ? byte_register(r) : gpr(r, size));
}

Operand Stream::target(unsigned size) {
    const unsigned r = free_gpr();
    return reg(size == 1 ? byte_register(r) : gpr(r, size));
}

Operand Stream::immediate(unsigned size) {
    const auto value = static_cast<int64_t>(random.integer());
    switch (size) {
        case 1: return imm(static_cast<uint64_t>(static_cast<int8_t>(value)));
        case 2: return imm(static_cast<uint64_t>(static_cast<int16_t>(value)));
        default: return imm(static_cast<uint64_t>(static_cast<int32_t>(value)));
    }
}

uint64_t Stream::address(unsigned size, bool aligned) {
    const unsigned trouble = in_loop() ? 1 : 12;
    if (random.chance(3)) return window() + kLargePage + random.below(kPage * 64);
    uint64_t page = random.below(kPlainPages);
    if (random.chance(trouble)) page = random.below(kDataPages);
    uint64_t offset = random.below(kPage - size);
    if (random.chance(50)) offset = random.below(0x80);  // few bytes, so that accesses meet
    if (aligned && random.chance(in_loop() ? 99 : 80)) {
        offset &= ~uint64_t{31};
    } else if (random.chance(8) && size > 1 && page + 1 < kPlainPages) {
        offset = kPage - 1 - random.below(size - 1);
    }
    return window() + kData + page * kPage + offset;
}

Place Stream::with_index(unsigned size, const Pointer& pointer, uint64_t target) {
    const unsigned r = free_gpr();
    const unsigned scale = random.pick({1U, 2U, 4U, 8U});
    const auto displacement = static_cast<int64_t>(target - pointer.address);
    if (random.chance(50)) {  // somewhere near
        emit(ZYDIS_MNEMONIC_MOVZX,
             {reg(gpr(r, 4)), reg(gpr(static_cast<unsigned>(random.below(16)), 1))});
        return {mem(size, gpr(pointer.gpr), displacement & ~int64_t{0x7FF}, gpr(r), scale)};
    }
    const auto index = static_cast<int64_t>(random.below(32)) - 16;
    mov(reg(gpr(r)), imm(static_cast<uint64_t>(index)));
    return {mem(size, gpr(pointer.gpr), displacement - index * scale, gpr(r), scale)};
}

Place Stream::memory(unsigned size) {
    const uint64_t linear = address(size);
    const uint64_t kind = random.below(100);
    if (kind < 12) return {at(size, linear)};
    if (kind < 18 && main) {
        const bool fs = random.chance(50);
        const uint64_t base = fs ? settings.fs_base() : settings.gs_base();
        return {mem(size, ZYDIS_REGISTER_NONE, static_cast<int64_t>(linear - base)),
                fs ? ZYDIS_ATTRIB_HAS_SEGMENT_FS : ZYDIS_ATTRIB_HAS_SEGMENT_GS};
    }
    if (kind < 22 && !supervisor)
        return {mem(size, ZYDIS_REGISTER_NONE, static_cast<int64_t>(linear))};
    if (kind < 30)
        return {mem(size, ZYDIS_REGISTER_RSP, -static_cast<int64_t>(random.below(0x1800)) - 0x100)};
    const Pointer& pointer = pointers_[random.below(pointers_.size())];
    // A pointer into the user's window reaches that window's pages.
    const uint64_t start = pointer.address >= kKernelWindow ? kKernelWindow : kUserWindow;
    const uint64_t target = linear - window() + start;
    if (kind < 55) return with_index(size, pointer, target);
    return {mem(size, gpr(pointer.gpr), static_cast<int64_t>(target - pointer.address))};
}

}  // namespace banyan::lockstep
