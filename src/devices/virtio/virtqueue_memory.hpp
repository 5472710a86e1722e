// Access to the words of a virtqueue that driver and device write at the same time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace banyan::virtqueue_memory {

// SAFETY: rings are resolved at aligned addresses, and T is no larger than the alignment.
template <class T>
T load_acquire(const std::byte* at) {
    return __atomic_load_n(reinterpret_cast<const T*>(at), __ATOMIC_ACQUIRE);
}

template <class T>
void store_release(std::byte* at, T value) {
    __atomic_store_n(reinterpret_cast<T*>(at), value, __ATOMIC_RELEASE);
}

// Between writing an index and reading the other side's event, or the other way round (2.7.7,
// 2.7.13.3.1, 2.8.21.3.1).
inline void full_barrier() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace banyan::virtqueue_memory
