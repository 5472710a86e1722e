#include "lockstep/flow.hpp"

#include <algorithm>
#include <cstring>

namespace banyan::lockstep {

namespace {

constexpr size_t kRoomForStatement = 4096;
constexpr uint64_t kInstructionsOfBody = 24;  // about

constexpr ZydisMnemonic kJumps[] = {
    ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JB,  ZYDIS_MNEMONIC_JNB,
    ZYDIS_MNEMONIC_JZ, ZYDIS_MNEMONIC_JNZ, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JNBE,
    ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JP,  ZYDIS_MNEMONIC_JNP,
    ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNLE};

}  // namespace

void Flow::statements(unsigned count, unsigned depth) {
    for (unsigned i = 0; i < count && s_.a.room() > kRoomForStatement; ++i)
        statement(depth);
}

void Flow::instructions(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i)
        emit_instruction(s_, encodings_);
}

void Flow::statement(unsigned depth) {
    const uint64_t kind = s_.random.below(100);
    if (kind < 34) return instructions(1 + s_.random.below(6));
    if (kind < 42) return records();
    if (kind < 54) return condition(depth);
    if (kind < 60) return short_condition();
    if (kind < 68) return loop(depth);
    if (kind < 71) return short_loop();
    if (kind < 77) return call();
    if (kind < 80) return jump_table(depth);
    if (kind < 83) return move_to_page_end();
    if (kind < 88) {
        emit_self_modifying(s_);
    } else {
        emit_system(s_);
    }
}

void Flow::condition(unsigned depth) {
    const Label otherwise = s_.a.make_label();
    s_.a.branch(kJumps[s_.random.below(std::size(kJumps))], otherwise);
    statements(1 + static_cast<unsigned>(s_.random.below(2)), depth);
    if (s_.random.chance(40)) {
        const Label end = s_.a.make_label();
        s_.a.branch(ZYDIS_MNEMONIC_JMP, end);
        s_.a.bind(otherwise);
        statements(1, depth);
        s_.a.bind(end);
        return;
    }
    s_.a.bind(otherwise);
}

void Flow::short_condition() {
    const Label over = s_.a.make_label();
    const bool by_rcx = s_.random.chance(15);
    s_.a.branch(by_rcx ? ZYDIS_MNEMONIC_JRCXZ : kJumps[s_.random.below(std::size(kJumps))], over,
                true);
    emit_integer(s_);
    if (s_.random.chance(50)) emit_integer(s_);
    s_.a.bind(over);
}

void Flow::records() {
    Records records(s_);
    const uint64_t parts = 2 + s_.random.below(4);
    for (uint64_t i = 0; i < parts; ++i) {
        const Label over = s_.a.make_label();
        const bool conditional = s_.random.chance(60);
        if (conditional) s_.a.branch(kJumps[s_.random.below(std::size(kJumps))], over);
        for (uint64_t fields = s_.random.below(4); fields > 0; --fields)
            records.access_field();
        if (s_.random.chance(40)) emit_integer(s_);
        if (s_.random.chance(40)) records.move_on();
        if (conditional) s_.a.bind(over);
        records.access_field();
    }
}

void Flow::count_down(unsigned depth, Label top, bool in_memory) {
    const Operand counter = in_memory ? at(8, s_.window() + kControl + kControlCounters + depth * 8)
                                      : reg(gpr(s_.counter(depth)));
    if (!in_memory && s_.random.chance(25)) {  // flags of the body live across the back edge
        const unsigned r = s_.counter(depth);
        s_.emit(ZYDIS_MNEMONIC_LEA, {counter, mem(8, gpr(r), -1)});
        const Label end = s_.a.make_label();
        if (s_.is_free(x86::kRcx)) {
            s_.mov(reg(ZYDIS_REGISTER_RCX), counter);
            s_.a.branch(ZYDIS_MNEMONIC_JRCXZ, end, true);
            s_.a.branch(ZYDIS_MNEMONIC_JMP, top);
            s_.a.bind(end);
            return;
        }
        s_.emit(ZYDIS_MNEMONIC_TEST, {counter, counter});
    } else if (s_.random.chance(50)) {
        s_.emit(ZYDIS_MNEMONIC_DEC, {counter});  // CF lives on
    } else {
        s_.emit(ZYDIS_MNEMONIC_SUB, {counter, imm(1)});
    }
    s_.a.branch(ZYDIS_MNEMONIC_JNZ, top);
}

void Flow::loop(unsigned depth) {
    if (depth >= Stream::kMaxDepth) return instructions(2);
    const uint64_t affordable = s_.budget / s_.repeats / kInstructionsOfBody;
    if (affordable < 2) return instructions(2);
    const uint64_t most = std::min<uint64_t>(affordable, s_.random.pick({8U, 60U, 400U, 3000U}));
    const uint64_t count = 1 + s_.random.below(most);
    const bool in_memory = s_.random.chance(25);
    const Operand counter = in_memory ? at(8, s_.window() + kControl + kControlCounters + depth * 8)
                                      : reg(gpr(s_.counter(depth)));
    s_.mov(counter, imm(count));
    const Label top = s_.a.make_label();
    s_.a.bind(top);
    const uint64_t outer = s_.repeats;
    s_.repeats *= count;
    s_.budget -= std::min(s_.budget, s_.repeats * kInstructionsOfBody / 2);
    statements(1 + static_cast<unsigned>(s_.random.below(3)), depth + 1);
    if (s_.random.chance(30) && !in_memory) rare_path(depth);
    s_.repeats = outer;
    count_down(depth, top, in_memory);
}

// LOOP, over a few instructions.
void Flow::short_loop() {
    if (!s_.is_free(x86::kRcx)) return;
    s_.mov(reg(ZYDIS_REGISTER_RCX), imm(1 + s_.random.below(s_.in_loop() ? 10 : 300)));
    s_.reserve(x86::kRcx);
    const uint64_t outer = s_.repeats;
    s_.repeats *= 100;
    const Label top = s_.a.make_label();
    s_.a.bind(top);
    emit_integer(s_);
    if (s_.random.chance(50)) emit_integer(s_);
    s_.a.branch(ZYDIS_MNEMONIC_LOOP, top, true);
    s_.repeats = outer;
    s_.release(x86::kRcx);
}

// Taken once in a while, when the path around it is hot.
void Flow::rare_path(unsigned depth) {
    const Label around = s_.a.make_label();
    const uint64_t mask = s_.random.pick({7U, 31U, 127U});
    s_.emit(ZYDIS_MNEMONIC_TEST, {reg(gpr(s_.counter(depth), 4)), imm(mask)});
    s_.a.branch(ZYDIS_MNEMONIC_JNZ, around);
    const uint64_t outer = s_.repeats;
    s_.repeats = std::max<uint64_t>(1, s_.repeats / mask);
    statements(1, Stream::kMaxDepth);
    s_.repeats = outer;
    s_.a.bind(around);
}

void Flow::call() {
    if (s_.functions.empty() || !s_.main) return instructions(2);
    const uint64_t number = s_.random.below(s_.functions.size());
    const uint64_t function = s_.functions[number];
    const Operand slot = at(8, s_.window() + kControl + kControlTable + number * 8);
    if (!s_.supervisor && !s_.in_loop() && s_.random.chance(10)) {
        s_.emit(ZYDIS_MNEMONIC_CALL, {imm(function + kCodeAlias)});  // at its other address
        return;
    }
    switch (s_.random.below(4)) {
        case 0: s_.emit(ZYDIS_MNEMONIC_CALL, {slot}); return;
        case 1: {
            const Operand r = reg(gpr(s_.free_gpr()));
            s_.mov(r, s_.random.chance(50) ? imm(function) : slot);
            s_.emit(ZYDIS_MNEMONIC_CALL, {r});
            return;
        }
        default: s_.emit(ZYDIS_MNEMONIC_CALL, {imm(function)}); return;
    }
}

// The table lies in the code, behind a jump.
void Flow::jump_table(unsigned depth) {
    constexpr unsigned kCases = 4;
    const unsigned r = s_.free_gpr();
    const Label table_start = s_.a.make_label();
    const Label end = s_.a.make_label();
    s_.emit(ZYDIS_MNEMONIC_MOVZX, {reg(gpr(r, 4)), s_.source(1)});
    s_.emit(ZYDIS_MNEMONIC_AND, {reg(gpr(r, 4)), imm(kCases - 1)});
    const unsigned base = s_.free_gpr_but(r);
    s_.a.lea(gpr(base), table_start);
    s_.emit(ZYDIS_MNEMONIC_JMP, {mem(8, gpr(base), 0, gpr(r), 8)});
    s_.a.bind(table_start);
    const uint64_t table = s_.a.offset();
    for (unsigned i = 0; i < kCases; ++i)
        s_.a.data(0);
    for (unsigned i = 0; i < kCases; ++i) {
        const uint64_t target = s_.a.here();
        std::memcpy(&s_.a.byte(table + i * 8), &target, sizeof(target));
        if (s_.random.chance(80)) statements(1, std::max(depth, 1U));
        s_.a.branch(ZYDIS_MNEMONIC_JMP, end);
    }
    s_.a.bind(end);
}

// Goes on a few bytes before the end of a page, so that a block or an instruction crosses it.
void Flow::move_to_page_end() {
    const uint64_t room = kPage - s_.a.offset() % kPage;
    const uint64_t before = 1 + s_.random.below(s_.random.chance(60) ? 12 : 60);
    if (room < before + 32 || room > 1500) return instructions(2);
    const Label there = s_.a.make_label();
    s_.a.branch(ZYDIS_MNEMONIC_JMP, there);
    s_.a.seek(s_.a.offset() + kPage - s_.a.offset() % kPage - before);
    s_.a.bind(there);
    instructions(2 + s_.random.below(10));
}

// The first instruction is one that self_modifying.cpp may change.
uint64_t Flow::function() {
    const uint64_t address = s_.a.here();
    unsigned r = s_.free_gpr();
    while (r >= 8)
        r = s_.free_gpr();
    const std::vector<uint8_t> first{static_cast<uint8_t>(0xB8 + r), 1, 2, 3, 4};
    s_.a.emit_bytes(first);
    statements(1 + static_cast<unsigned>(s_.random.below(3)), Stream::kMaxDepth);
    if (s_.random.chance(20)) {
        s_.emit(ZYDIS_MNEMONIC_POP, {reg(gpr(r))});  // a return by a jump
        s_.emit(ZYDIS_MNEMONIC_JMP, {reg(gpr(r))});
    } else {
        s_.emit(ZYDIS_MNEMONIC_RET);
    }
    return address;
}

}  // namespace banyan::lockstep
