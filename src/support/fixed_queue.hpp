// FixedQueue: a first-in first-out queue of at most N elements, without allocation.
#pragma once

#include <array>
#include <cstddef>

namespace banyan {

template <class T, size_t N>
class FixedQueue {
public:
    static constexpr size_t capacity() { return N; }
    size_t size() const { return count_; }
    bool empty() const { return count_ == 0; }
    bool full() const { return count_ == N; }

    // False when it is full, and then nothing changes.
    bool push(T value) {
        if (full()) return false;
        at_[(first_ + count_++) % N] = value;
        return true;
    }
    // The oldest element. Precondition: not empty.
    const T& front() const { return at_[first_]; }
    T& front() { return at_[first_]; }
    T pop() {
        const T value = at_[first_];
        first_ = (first_ + 1) % N;
        --count_;
        return value;
    }
    // The element after `index` older ones. Precondition: index < size().
    const T& operator[](size_t index) const { return at_[(first_ + index) % N]; }
    void clear() { first_ = count_ = 0; }

    // For saved states: the elements, the oldest first, the rest zero.
    std::array<T, N> elements() const {
        std::array<T, N> all{};
        for (size_t i = 0; i < count_; ++i)
            all[i] = (*this)[i];
        return all;
    }

private:
    std::array<T, N> at_{};
    size_t first_ = 0;
    size_t count_ = 0;
};

}  // namespace banyan
