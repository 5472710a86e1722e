// RandomEncodings: random bytes that decode to an instruction which a stream may hold: the breadth
// that the families, which name their instructions, do not have.
#pragma once

#include <Zydis/Zydis.h>
#include <cstdint>
#include <vector>

#include "cpu/interp/zydis_decoder.hpp"
#include "lockstep/random.hpp"

namespace banyan::lockstep {

struct Picked {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    std::vector<uint8_t> bytes;
};

class RandomEncodings {
public:
    Picked pick(Random& random) const;

private:
    ZydisDecoder decoder_ = interp::make_decoder64();
};

}  // namespace banyan::lockstep
