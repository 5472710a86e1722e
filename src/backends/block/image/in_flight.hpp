// InFlight: tells when all requests that were under way at some time have ended.
#pragma once

#include <cstdint>
#include <map>

#include "support/mutex.hpp"

namespace banyan {

// A request that looked up where its data lies goes there without a lock. Clusters that are taken
// out of use meanwhile must stay as they are until it has ended. From any thread.
class InFlight {
public:
    // Exists while a request is carried out.
    class Request {
    public:
        explicit Request(InFlight& all) : all_(all), since_(all.enter()) {}
        ~Request() { all_.leave(since_); }
        Request(const Request&) = delete;
        Request& operator=(const Request&) = delete;

    private:
        InFlight& all_;
        const uint64_t since_;
    };

    // A mark between the requests that are under way and those to come.
    uint64_t mark() {
        const MutexLock lock(mutex_);
        return now_++;
    }
    // All requests from before the mark have ended.
    bool passed(uint64_t mark) const {
        const MutexLock lock(mutex_);
        return active_.empty() || active_.begin()->first > mark;
    }

private:
    uint64_t enter() {
        const MutexLock lock(mutex_);
        ++active_[now_];
        return now_;
    }
    void leave(uint64_t since) {
        const MutexLock lock(mutex_);
        if (--active_[since] == 0) active_.erase(since);
    }

    mutable Mutex mutex_;
    uint64_t now_ GUARDED_BY(mutex_) = 0;
    std::map<uint64_t, unsigned> active_ GUARDED_BY(mutex_);  // how many, by the mark they came at
};

}  // namespace banyan
