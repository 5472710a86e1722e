// DataPlan: what a command does to the medium and to the initiator's memory, as the decoder of a
// command (SCSI or ATA) hands it to whoever carries it out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vm/backend.hpp"

namespace banyan {

struct BlockRange {
    uint64_t offset = 0;  // bytes
    uint64_t length = 0;
};

// Work on the medium for which no data move.
struct BlockWork {
    static constexpr size_t kMaxRanges = 64;
    static constexpr size_t kPatternSize = 512;

    enum class Kind : uint8_t {
        flush,
        discard,  // the ranges; zero-length ones are left out
        fill,     // the first range with copies of the pattern; its length is a multiple of that
    };
    Kind kind = Kind::flush;
    size_t range_count = 0;
    std::array<BlockRange, kMaxRanges> ranges{};
    std::array<std::byte, kPatternSize> pattern{};

    void add(const BlockRange& range) {
        if (range.length != 0) ranges[range_count++] = range;
    }
};

struct DataPlan {
    // Longest parameter list that an initiator can send.
    static constexpr uint64_t kMaxParameters = 2048;

    enum class Kind : uint8_t {
        complete,   // nothing is left to do
        failed,     // nothing was done; the decoder knows why
        data_in,    // `response` goes to the initiator
        data_out,   // the initiator sends `length` bytes, with which the decoder is asked again
        media_in,   // `length` bytes of the medium, from `offset`, go to the initiator
        media_out,  // the initiator sends what becomes `length` bytes of the medium, from `offset`
        work,       // the BlockWork that the decoder has filled in
    };
    Kind kind = Kind::complete;
    uint64_t offset = 0;                       // bytes
    uint64_t length = 0;                       // bytes; of media transfers a multiple of 512
    bool flush_after = false;                  // of media_out and of work
    std::span<const std::byte> response = {};  // valid until the decoder is asked again
};
using PlanKind = DataPlan::Kind;

}  // namespace banyan
