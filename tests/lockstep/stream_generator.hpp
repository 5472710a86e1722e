// StreamGenerator: whole programs from a seed.
#pragma once

#include <cstdint>

#include "lockstep/program.hpp"
#include "lockstep/random_encodings.hpp"

namespace banyan::lockstep {

class StreamGenerator {
public:
    explicit StreamGenerator(uint64_t seed) : seed_(seed) {}

    static constexpr uint64_t kMaxParts = 10;

    // Program `number` of this seed: the same whatever was made before. It has up to kMaxParts
    // parts; with fewer, it ends early and is the same until there.
    Program make(uint64_t number, uint64_t parts = kMaxParts);

private:
    uint64_t seed_;
    RandomEncodings encodings_;
};

}  // namespace banyan::lockstep
