// InFlight: tells when all requests that were under way at some time have ended.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

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

    // The same for a request that ends elsewhere: leave() is given what enter() returned.
    uint64_t enter() {
        const MutexLock lock(mutex_);
        if (active_.empty() || active_.back().mark != now_) active_.push_back({now_, 0});
        ++active_.back().requests;
        return now_;
    }
    void leave(uint64_t since) {
        const MutexLock lock(mutex_);
        const auto group = std::lower_bound(active_.begin(), active_.end(), since,
                                            [](const Group& g, uint64_t m) { return g.mark < m; });
        if (--group->requests == 0) active_.erase(group);
    }

    // A mark between the requests that are under way and those to come.
    uint64_t mark() {
        const MutexLock lock(mutex_);
        return now_++;
    }
    // All requests from before the mark have ended.
    bool passed(uint64_t mark) const {
        const MutexLock lock(mutex_);
        return active_.empty() || active_.front().mark > mark;
    }

private:
    struct Group {
        uint64_t mark;  // at which they came
        unsigned requests;
    };

    mutable Mutex mutex_;
    uint64_t now_ GUARDED_BY(mutex_) = 0;
    std::vector<Group> active_ GUARDED_BY(mutex_);  // by their marks; keeps its memory
};

}  // namespace banyan
