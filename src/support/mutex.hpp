// Mutex and MutexLock, with clang's thread-safety annotations. The bare-metal build has its own
// behind the same names. See docs/locking.md for the order of locks.
#pragma once

#include <concepts>
#include <mutex>
#include <type_traits>

#if defined(__clang__)
#define BANYAN_TSA(x) __attribute__((x))
#else
#define BANYAN_TSA(x)
#endif

#define CAPABILITY(x) BANYAN_TSA(capability(x))
#define SCOPED_CAPABILITY BANYAN_TSA(scoped_lockable)
#define GUARDED_BY(x) BANYAN_TSA(guarded_by(x))
#define REQUIRES(...) BANYAN_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) BANYAN_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) BANYAN_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) BANYAN_TSA(release_capability(__VA_ARGS__))

namespace banyan {

class CAPABILITY("mutex") Mutex {
public:
    void lock() ACQUIRE() { mutex_.lock(); }
    void unlock() RELEASE() { mutex_.unlock(); }

private:
    std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
public:
    explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

private:
    Mutex& mutex_;
};

// Any lock, by reference: for who must take a lock whose type it need not know. Made from what has
// lock() and unlock().
class LockRef {
public:
    template <class L>
    requires(!std::same_as<std::remove_cv_t<L>,
                           LockRef>)  // a copy refers to the lock, not to its origin
        LockRef(L& object)            // NOLINT: converts as a reference does
        : object_(&object),
          lock_([](void* o) { static_cast<L*>(o)->lock(); }),
          unlock_([](void* o) { static_cast<L*>(o)->unlock(); }) {}

    void lock() const { lock_(object_); }
    void unlock() const { unlock_(object_); }

private:
    void* object_;
    void (*lock_)(void*);
    void (*unlock_)(void*);
};

class LockRefGuard {
public:
    explicit LockRefGuard(const LockRef& lock) : lock_(lock) { lock_.lock(); }
    ~LockRefGuard() { lock_.unlock(); }
    LockRefGuard(const LockRefGuard&) = delete;
    LockRefGuard& operator=(const LockRefGuard&) = delete;

private:
    const LockRef& lock_;
};

}  // namespace banyan
