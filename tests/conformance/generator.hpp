// Makes cases from a seed: random encodings that decode to instructions which user mode may run,
// with registers chosen so that memory operands fall near the data pages.
#pragma once

#include <Zydis/Zydis.h>
#include <cstdint>
#include <random>
#include <set>

#include "conformance/test_case.hpp"

namespace banyan::conformance {

class Generator {
public:
    explicit Generator(uint64_t seed);

    // Case `number` of this seed: the same whatever was made before.
    TestCase make(uint64_t number);

    // What the cases so far held: instructions, and their forms (encoding, operand width, register
    // or memory).
    size_t instructions() const { return mnemonics_.size(); }
    size_t forms() const { return forms_.size(); }

private:
    struct Picked {
        ZydisDecodedInstruction instruction;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        std::vector<uint8_t> bytes;
    };

    uint64_t random() { return random_(); }
    bool chance(unsigned percent) { return random() % 100 < percent; }

    Picked pick_instruction();
    std::vector<uint8_t> random_encoding();
    void append_prefixes(std::vector<uint8_t>& bytes);
    void append_vex(std::vector<uint8_t>& bytes);
    void append_evex(std::vector<uint8_t>& bytes);
    uint64_t random_integer();
    void fill_vectors(Registers& registers);
    void fill_avx512(Registers& registers);
    void fill_x87(Registers& registers);
    void put_float_patterns(std::byte* to, size_t size);
    uint64_t data_address(bool masked);
    void fill_indices(unsigned vector, Registers& registers);
    bool aim_memory(const Picked& picked, Registers& registers, uint16_t& pinned);

    void note_coverage(const ZydisDecodedInstruction& instruction);

    uint64_t seed_;
    std::set<ZydisMnemonic> mnemonics_;
    std::set<uint64_t> forms_;
    std::mt19937_64 random_;
    ZydisDecoder decoder_;
};

}  // namespace banyan::conformance
