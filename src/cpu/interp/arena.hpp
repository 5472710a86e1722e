// Arena: memory handed out in order and given back all at once. Holds the Ops and side data of one
// code cache generation.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace banyan::interp {

class Arena {
public:
    static constexpr size_t kChunk = 256 * 1024;

    // Objects are never destroyed one by one, so they must not need it.
    template <class T>
    T* allocate(size_t count = 1) {
        static_assert(std::is_trivially_destructible_v<T> &&
                      alignof(T) <= alignof(std::max_align_t));
        return new (take(sizeof(T) * count, alignof(T))) T[count]();
    }
    size_t used() const { return used_; }
    void clear() {
        chunks_.clear();
        left_ = used_ = 0;
    }

private:
    void* take(size_t size, size_t alignment) {
        size_t padding = (alignment - reinterpret_cast<size_t>(cursor_) % alignment) % alignment;
        if (left_ < size + padding) {
            const size_t chunk = size > kChunk ? size : kChunk;
            chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(chunk));
            cursor_ = chunks_.back().get();
            left_ = chunk;
            padding = 0;
        }
        std::byte* result = cursor_ + padding;
        cursor_ = result + size;
        left_ -= size + padding;
        used_ += size + padding;
        return result;
    }

    std::vector<std::unique_ptr<std::byte[]>> chunks_;
    std::byte* cursor_ = nullptr;
    size_t left_ = 0;
    size_t used_ = 0;
};

}  // namespace banyan::interp
