// DiskWork: a request on its way through an ImageDisk.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <sys/uio.h>
#include <vector>

#include "backends/block/image/direct_access.hpp"
#include "support/mutex.hpp"
#include "vm/backend.hpp"

namespace banyan {

using DiskClock = std::chrono::steady_clock;

struct DiskWork {
    BlockRequest request;
    BlockClient* client = nullptr;

    bool throttled = false;  // its turn has not come yet
    bool held = false;       // there was no room for it on the host
    DiskClock::time_point due;

    // Of one that goes past the image (image/direct_access.hpp).
    DirectPlaces places;
    std::vector<iovec> segments;  // of all places, in their order; keeps its memory
    unsigned pieces_left = 0;     // places that the ring has not done with
    uint64_t bytes_left = 0;      // of all of them
    bool failed = false;          // one of them

    DiskWork* next = nullptr;  // in a list
};

// First in, first out. Owns nothing.
class DiskWorkList {
public:
    bool empty() const { return first_ == nullptr; }
    void push(DiskWork& work) {
        work.next = nullptr;
        (first_ == nullptr ? first_ : last_->next) = &work;
        last_ = &work;
    }
    DiskWork* pop() {
        DiskWork* work = first_;
        if (work != nullptr) first_ = work->next;
        return work;
    }
    void append(DiskWorkList&& more) {
        if (more.empty()) return;
        (first_ == nullptr ? first_ : last_->next) = more.first_;
        last_ = more.last_;
        more.first_ = nullptr;
    }
    // Behind those that are due before it.
    void push_by_time(DiskWork& work) {
        if (first_ == nullptr || last_->due <= work.due) return push(work);
        DiskWork** place = &first_;
        while ((*place)->due <= work.due)
            place = &(*place)->next;
        work.next = *place;
        *place = &work;
    }
    const DiskWork* first() const { return first_; }

private:
    DiskWork* first_ = nullptr;
    DiskWork* last_ = nullptr;
};

// As many as were ever under way at once, which is what the device has room for. From any thread.
class DiskWorkPool {
public:
    DiskWork& take() {
        const MutexLock lock(mutex_);
        if (free_.empty()) return all_.emplace_back();
        return *free_.pop();
    }
    void give_back(DiskWork& work) {
        const MutexLock lock(mutex_);
        free_.push(work);
    }

private:
    Mutex mutex_;                                  // a leaf
    std::deque<DiskWork> all_ GUARDED_BY(mutex_);  // never moves them
    DiskWorkList free_ GUARDED_BY(mutex_);
};

}  // namespace banyan
