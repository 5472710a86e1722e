// Usage: what a recipe reads and writes, and so what its thunk must load and store.
#pragma once

#include <array>
#include <cstdint>

#include "cpu/interp/native_recipe.hpp"

namespace banyan::interp {

struct Usage {
    struct Vector {
        uint8_t read = 0;  // bytes: 0, 16 or 32
        uint8_t write = 0;
    };
    struct General {
        uint8_t host = 0;
        uint8_t offset = 0;
        uint8_t size = 0;
        bool read = false;
        bool write = false;
    };
    std::array<Vector, 16> vectors{};
    std::array<bool, 8> mmx_read{};
    std::array<bool, 8> mmx_write{};
    std::array<General, 6> general{};
    unsigned general_count = 0;
    unsigned memory_size = 0;
    bool stores = false;
    bool vex = false;
    bool wide = false;  // some 256-bit register
    bool mmx = false;
    bool flags = false;
    bool mxcsr = false;
    bool x87 = false;
};

Usage usage_of(const Recipe& recipe, const RecipeDetails& details);

}  // namespace banyan::interp
