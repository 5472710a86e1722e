// DiskWorkers: threads for what may block, and a clock for what must wait.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "backends/block/disk_work.hpp"

namespace banyan {

class DiskWorkersClient {
public:
    // On a thread of the workers, which may block.
    virtual void on_turn(DiskWork& work) = 0;

protected:
    ~DiskWorkersClient() = default;
};

// One thread at first; more, up to a bound, when all are busy.
class DiskWorkers {
public:
    DiskWorkers(DiskWorkersClient& client, unsigned most_threads);
    ~DiskWorkers();  // carries out all that waits, at once
    DiskWorkers(const DiskWorkers&) = delete;
    DiskWorkers& operator=(const DiskWorkers&) = delete;

    void queue(DiskWork& work);
    // At work.due, or when somebody hurries.
    void queue_at(DiskWork& work);

    // Between these two, nothing waits for its time.
    void hurry();
    void no_hurry();
    // Those that are held are due.
    void retry_held();

private:
    void start_one();
    void serve();
    DiskWork* next_work();
    void wait(std::unique_lock<std::mutex>& lock);

    DiskWorkersClient& client_;
    const unsigned most_threads_;

    std::mutex mutex_;  // a leaf: no client is called under it
    std::condition_variable changed_;
    DiskWorkList ready_;
    DiskWorkList timed_;
    unsigned hurries_ = 0;
    unsigned idle_ = 0;     // threads that wait
    unsigned waiting_ = 0;  // of ready_
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace banyan
