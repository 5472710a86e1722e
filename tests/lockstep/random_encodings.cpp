#include "lockstep/random_encodings.hpp"

#include "arch/x86/registers.hpp"
#include "conformance/exclusions.hpp"
#include "conformance/offered.hpp"

namespace banyan::lockstep {

namespace {

uint8_t byte(Random& random) {
    return static_cast<uint8_t>(random.bits());
}

void append_prefixes(Random& random, std::vector<uint8_t>& bytes) {
    if (random.chance(20)) bytes.push_back(0x66);
    if (random.chance(12))
        bytes.push_back(0xF3);
    else if (random.chance(12))
        bytes.push_back(0xF2);
    if (random.chance(3)) bytes.push_back(0xF0);
    if (random.chance(2)) bytes.push_back(0x67);
    if (random.chance(50)) bytes.push_back(static_cast<uint8_t>(0x40 | random.below(16)));
}

void append_vex(Random& random, std::vector<uint8_t>& bytes) {
    if (random.chance(30)) {
        bytes.insert(bytes.end(), {0xC5, byte(random)});
        return;
    }
    const auto map = static_cast<uint8_t>((random.bits() & 0xE0) | (1 + random.below(3)));
    bytes.insert(bytes.end(), {0xC4, map, byte(random)});
}

void append_evex(Random& random, std::vector<uint8_t>& bytes) {
    const auto map = static_cast<uint8_t>((random.bits() & 0xF0) | (1 + random.below(3)));
    bytes.insert(bytes.end(), {0x62, map, static_cast<uint8_t>(random.bits() | 4), byte(random)});
}

std::vector<uint8_t> random_bytes(Random& random) {
    std::vector<uint8_t> bytes;
    const uint64_t kind = random.below(100);
    const bool evex = (conformance::offered_components() & x86::kXcr0Avx512) != 0 && kind < 12;
    if (evex) {
        append_evex(random, bytes);
    } else if (kind < 30) {
        append_vex(random, bytes);
    } else {
        append_prefixes(random, bytes);
        if (kind < 70) bytes.push_back(0x0F);
        if (kind >= 60 && kind < 70) bytes.push_back(random.chance(60) ? 0x38 : 0x3A);
        if (kind >= 88) bytes.push_back(static_cast<uint8_t>(0xD8 + random.below(8)));  // x87
    }
    while (bytes.size() < ZYDIS_MAX_INSTRUCTION_LENGTH)
        bytes.push_back(byte(random));
    return bytes;
}

}  // namespace

Picked RandomEncodings::pick(Random& random) const {
    for (;;) {
        Picked picked;
        picked.bytes = random_bytes(random);
        const ZyanStatus status =
            ZydisDecoderDecodeFull(&decoder_, picked.bytes.data(), picked.bytes.size(),
                                   &picked.instruction, picked.operands);
        if (!ZYAN_SUCCESS(status) ||
            !conformance::is_allowed(picked.instruction, picked.operands)) {
            continue;
        }
        picked.bytes.resize(picked.instruction.length);
        return picked;
    }
}

}  // namespace banyan::lockstep
