// Usage: what a recipe reads and writes, and so what its thunk must load and store.
#pragma once

#include <array>
#include <cstdint>

#include "cpu/interp/native_recipe.hpp"

namespace banyan::interp {

// Which elements of its memory operand an instruction under an opmask reaches. The others are not
// written, and mostly do not fault (Intel SDM vol. 2 section 2.7.4).
struct OpmaskedMemory {
    enum class Order : uint8_t {
        each,      // a bit for each
        packed,    // as many as bits are set, from the first
        repeated,  // several bits for each, in turns: broadcasts
    };
    uint8_t opmask = 0;  // K1 to K7; 0: the whole operand is accessed
    uint8_t bits = 0;    // of the opmask that count
    uint8_t elements = 0;
    uint8_t element = 0;  // bytes
    Order order = Order::each;
    bool faults_whole = false;  // also where it does not reach
};

struct Usage {
    struct Vector {
        uint8_t read = 0;  // bytes: 0, 16, 32 or 64
        uint8_t write = 0;
    };
    struct General {
        uint8_t host = 0;
        uint8_t offset = 0;
        uint8_t size = 0;
        bool read = false;
        bool write = false;
    };
    std::array<Vector, 32> vectors{};
    std::array<bool, 8> opmask_read{};
    std::array<bool, 8> opmask_write{};
    std::array<bool, 8> mmx_read{};
    std::array<bool, 8> mmx_write{};
    std::array<General, 6> general{};
    unsigned general_count = 0;
    unsigned memory_size = 0;
    bool stores = false;
    OpmaskedMemory opmasked{};
    bool vex = false;              // or EVEX
    bool evex = false;             // writes registers whole
    bool clears_zmm_high = false;  // Recipe
    bool wide = false;             // some register of more than 128 bits
    bool mmx = false;
    bool flags = false;
    bool mxcsr = false;
    bool suppresses_exceptions = false;  // {sae}, or it has none
    bool x87 = false;
};

Usage usage_of(const Recipe& recipe, const RecipeDetails& details);

}  // namespace banyan::interp
