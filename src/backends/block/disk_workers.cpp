#include "backends/block/disk_workers.hpp"

#include <system_error>

#include "host/posix/threads.hpp"

namespace banyan {

DiskWorkers::DiskWorkers(DiskWorkersClient& client, unsigned most_threads)
    : client_(client), most_threads_(most_threads) {
    threads_.reserve(most_threads);
    threads_.push_back(start_thread(ThreadKind::disk, "disk", [this] { serve(); }));
}

DiskWorkers::~DiskWorkers() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
}

void DiskWorkers::queue(DiskWork& work) {
    {
        const std::lock_guard lock(mutex_);
        ready_.push(work);
        if (++waiting_ > idle_ && threads_.size() < most_threads_) start_one();
    }
    changed_.notify_one();
}

// A host that has no thread left: those that are there do the work.
void DiskWorkers::start_one() {
    try {
        threads_.push_back(start_thread(ThreadKind::disk, "disk", [this] { serve(); }));
    } catch (const std::system_error&) {
    }
}

void DiskWorkers::queue_at(DiskWork& work) {
    {
        const std::lock_guard lock(mutex_);
        timed_.push_by_time(work);
    }
    changed_.notify_one();
}

void DiskWorkers::hurry() {
    {
        const std::lock_guard lock(mutex_);
        ++hurries_;
    }
    changed_.notify_all();
}

void DiskWorkers::no_hurry() {
    const std::lock_guard lock(mutex_);
    --hurries_;
}

void DiskWorkers::retry_held() {
    {
        const std::lock_guard lock(mutex_);
        DiskWorkList later;
        while (DiskWork* work = timed_.pop()) {
            if (work->held) {
                ready_.push(*work);
                ++waiting_;
            } else {
                later.push(*work);
            }
        }
        timed_ = later;
    }
    changed_.notify_all();
}

DiskWork* DiskWorkers::next_work() {
    if (DiskWork* work = ready_.pop()) {
        --waiting_;
        return work;
    }
    if (timed_.empty()) return nullptr;
    const bool at_once = hurries_ != 0 || stopping_;
    return at_once || timed_.first()->due <= DiskClock::now() ? timed_.pop() : nullptr;
}

void DiskWorkers::wait(std::unique_lock<std::mutex>& lock) {
    ++idle_;
    if (timed_.empty()) {
        changed_.wait(lock);
    } else {
        changed_.wait_until(lock, timed_.first()->due);
    }
    --idle_;
}

void DiskWorkers::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (DiskWork* work = next_work()) {
            lock.unlock();
            client_.on_turn(*work);
            lock.lock();
        } else if (stopping_) {
            return;
        } else {
            wait(lock);
        }
    }
}

}  // namespace banyan
