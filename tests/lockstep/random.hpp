// Random: the numbers that programs are made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>

namespace banyan::lockstep {

class Random {
public:
    Random(uint64_t seed, uint64_t number) : engine_(seed * 0x9E3779B97F4A7C15 + number) {}

    uint64_t bits() { return engine_(); }
    uint64_t below(uint64_t limit) { return engine_() % limit; }
    bool chance(unsigned percent) { return below(100) < percent; }
    template <class T>
    T pick(std::initializer_list<T> list) {
        return list.begin()[below(list.size())];
    }
    template <class T, size_t kSize>
    T pick(const std::array<T, kSize>& list) {
        return list[below(kSize)];
    }

    // Values at the edges more often than in the middle.
    uint64_t integer() {
        switch (below(8)) {
            case 0: return 0;
            case 1: return below(256);
            case 2: return ~uint64_t{0} - below(4);
            case 3: return uint64_t{1} << below(64);
            case 4: return (uint64_t{1} << below(64)) - 1;
            case 5: return static_cast<uint32_t>(bits());
            default: return bits();
        }
    }

private:
    std::mt19937_64 engine_;
};

}  // namespace banyan::lockstep
