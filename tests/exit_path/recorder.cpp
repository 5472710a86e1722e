#include "exit_path/recorder.hpp"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>

namespace banyan::exit_path {

namespace {

thread_local bool recording = false;
thread_local Record record;

void note_allocation() {
    if (recording) ++record.allocations;
}

void note_lock(const void* lock) {
    if (!recording) return;
    ++record.locked;
    if (!record.has(lock) && record.lock_count < record.locks.size())
        record.locks[record.lock_count++] = lock;
}

// The thread library's own. Not found by a static variable, whose guard is a lock.
template <class T>
int lock_by(const char* name, T* lock) {
    note_lock(lock);
    return reinterpret_cast<int (*)(T*)>(::dlsym(RTLD_NEXT, name))(lock);
}

}  // namespace

bool Record::has(const void* lock) const {
    return std::find(locks.begin(), locks.begin() + lock_count, lock) != locks.begin() + lock_count;
}

size_t Record::common(const Record& other) const {
    return static_cast<size_t>(std::count_if(locks.begin(), locks.begin() + lock_count,
                                             [&](const void* lock) { return other.has(lock); }));
}

void start_recording() {
    record = {};
    recording = true;
}

Record stop_recording() {
    recording = false;
    return record;
}

}  // namespace banyan::exit_path

extern "C" {

// glibc's own, under the names by which whoever replaces malloc() reaches it.
void* __libc_malloc(size_t size);                // NOLINT
void* __libc_calloc(size_t count, size_t size);  // NOLINT
void* __libc_realloc(void* old, size_t size);    // NOLINT

void* malloc(size_t size) noexcept {
    banyan::exit_path::note_allocation();
    return __libc_malloc(size);
}

void* calloc(size_t count, size_t size) noexcept {
    banyan::exit_path::note_allocation();
    return __libc_calloc(count, size);
}

void* realloc(void* old, size_t size) noexcept {
    banyan::exit_path::note_allocation();
    return __libc_realloc(old, size);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
    return banyan::exit_path::lock_by("pthread_mutex_lock", mutex);
}

int pthread_rwlock_rdlock(pthread_rwlock_t* lock) noexcept {
    return banyan::exit_path::lock_by("pthread_rwlock_rdlock", lock);
}

int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
    return banyan::exit_path::lock_by("pthread_rwlock_wrlock", lock);
}

}  // extern "C"
