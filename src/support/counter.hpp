// Counter: counted by one thread, read by any, at the price of a plain variable.
#pragma once

#include <atomic>
#include <cstdint>

namespace banyan {

class Counter {
public:
    constexpr Counter() = default;

    // By the one thread that counts. Not an atomic addition: nobody else writes.
    Counter& operator+=(uint64_t n) {
        value_.store(*this + n, std::memory_order_relaxed);
        return *this;
    }
    Counter& operator-=(uint64_t n) { return *this += 0 - n; }
    Counter& operator++() { return *this += 1; }

    operator uint64_t() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> value_{0};
};

static_assert(sizeof(Counter) == sizeof(uint64_t), "generated code counts in it, too");

}  // namespace banyan
