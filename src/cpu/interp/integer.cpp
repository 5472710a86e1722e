#include "cpu/interp/integer_forms.hpp"

namespace banyan::interp {

Form form_of(const Decoded& decoded) {
    const auto kind = [&](unsigned i) {
        return i < decoded.instruction.operand_count_visible ? decoded.operands[i].type
                                                             : ZYDIS_OPERAND_TYPE_UNUSED;
    };
    const auto first = kind(0);
    const auto second = kind(1);
    if (first == ZYDIS_OPERAND_TYPE_REGISTER) {
        if (second == ZYDIS_OPERAND_TYPE_REGISTER) return Form::rr;
        if (second == ZYDIS_OPERAND_TYPE_MEMORY) return Form::rm;
        if (second == ZYDIS_OPERAND_TYPE_IMMEDIATE) return Form::ri;
        return Form::r;
    }
    if (first == ZYDIS_OPERAND_TYPE_MEMORY) {
        if (second == ZYDIS_OPERAND_TYPE_REGISTER) return Form::mr;
        if (second == ZYDIS_OPERAND_TYPE_IMMEDIATE) return Form::mi;
        return Form::m;
    }
    return Form::other;
}

x86::Segment memory_segment(const Decoded& decoded) {
    // The last memory operand is the one that can be overridden (MOVS: destination ES first, then
    // the source).
    x86::Segment segment = x86::kDs;
    for (unsigned i = 0; i < decoded.instruction.operand_count; ++i) {
        if (decoded.operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
        if (decoded.operands[i].mem.base == ZYDIS_REGISTER_RDI ||
            decoded.operands[i].mem.base == ZYDIS_REGISTER_EDI ||
            decoded.operands[i].mem.base == ZYDIS_REGISTER_DI) {
            continue;
        }
        segment = static_cast<x86::Segment>(ZydisRegisterGetId(decoded.operands[i].mem.segment));
    }
    return segment;
}

Handler select_integer(const Decoded& decoded, Op& op) {
    for (const auto select :
         {select_move, select_arithmetic, select_stack, select_shift, select_bits, select_exchange,
          select_multiply, select_string, select_flags}) {
        if (const Handler handler = select(decoded, op)) return handler;
    }
    return nullptr;
}

}  // namespace banyan::interp
