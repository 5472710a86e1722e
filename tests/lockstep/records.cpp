// Accesses whose addresses differ by constants, which a translator likes to check together. What
// makes that wrong: the base changes, here or in a block that only some ways go through; a record
// lies across two pages.
#include "lockstep/families.hpp"

namespace banyan::lockstep {

namespace {

constexpr unsigned kFields = 8;
constexpr unsigned kField = 8;  // bytes

// Often across the end of a page.
uint64_t record(Stream& s) {
    if (!s.random.chance(40)) return s.address(kField);
    const uint64_t page = s.address(1) & ~(kPage - 1);
    uint64_t before = kField * s.random.below(kFields);
    if (s.random.chance(30) && !s.settings.alignment_check) before += s.random.below(kField);
    return page + kPage - kField - before;
}

}  // namespace

Records::Records(Stream& s) : s_(s), base_(s.free_gpr()) {
    s_.reserve(base_);
    s_.mov(reg(gpr(base_)), imm(record(s_)));
}

Records::~Records() {
    s_.release(base_);
}

void Records::move_on() {
    const Operand base = reg(gpr(base_));
    const uint64_t further = kField * s_.random.below(3);
    switch (s_.random.below(4)) {
        case 0: s_.emit(ZYDIS_MNEMONIC_ADD, {base, imm(further)}); return;
        case 1:
            s_.emit(ZYDIS_MNEMONIC_LEA,
                    {base, mem(kField, gpr(base_), -static_cast<int64_t>(further))});
            return;
        default: s_.mov(base, imm(record(s_))); return;
    }
}

void Records::access_field() {
    const unsigned size = s_.size();
    const auto at = static_cast<int64_t>(s_.random.below(kFields) * kField);
    const Operand field = mem(size, gpr(base_), at);
    switch (s_.random.below(4)) {
        case 0: s_.mov(s_.target(size), field); return;
        case 1:
            s_.emit(s_.random.pick({ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_CMP, ZYDIS_MNEMONIC_SBB}),
                    {s_.target(size), field});
            return;
        case 2:
            s_.emit(s_.random.pick({ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_ADC}),
                    {field, s_.source(size)});
            return;
        default: s_.mov(field, s_.source(size)); return;
    }
}

}  // namespace banyan::lockstep
