// StreamGenerator: whole programs from a seed.
#pragma once

#include <cstdint>

#include "lockstep/program.hpp"
#include "lockstep/random_encodings.hpp"

namespace banyan::lockstep {

class StreamGenerator {
public:
    explicit StreamGenerator(uint64_t seed) : seed_(seed) {}

    // Program `number` of this seed: the same whatever was made before.
    Program make(uint64_t number);

private:
    uint64_t seed_;
    RandomEncodings encodings_;
};

}  // namespace banyan::lockstep
