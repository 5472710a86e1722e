// What a disk has done for its guest, as figures.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "vm/backend.hpp"

namespace banyan {

// Since the disk was opened; never falls.
struct DiskCounts {
    struct Requests {
        uint64_t done = 0;    // with success
        uint64_t bytes = 0;   // of these
        uint64_t failed = 0;  // the guest saw an error
    };
    Requests reads = {};
    Requests writes = {};  // writing zeroes is writing
    Requests flushes = {};
    Requests discards = {};
};

// Counts from any thread, without a lock.
class DiskCounters {
public:
    void count(BlockRequest::Kind kind, uint64_t bytes, BlockStatus status) {
        Requests& requests = requests_[index(kind)];
        if (status != BlockStatus::ok) {
            requests.failed.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        requests.done.fetch_add(1, std::memory_order_relaxed);
        if (kind != BlockRequest::Kind::flush)
            requests.bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
    DiskCounts read() const {
        return {read(requests_[0]), read(requests_[1]), read(requests_[2]), read(requests_[3])};
    }

private:
    struct Requests {
        std::atomic<uint64_t> done{0};
        std::atomic<uint64_t> bytes{0};
        std::atomic<uint64_t> failed{0};
    };

    static size_t index(BlockRequest::Kind kind) {
        switch (kind) {
            case BlockRequest::Kind::read: return 0;
            case BlockRequest::Kind::write:
            case BlockRequest::Kind::write_zeroes: return 1;
            case BlockRequest::Kind::flush: return 2;
            case BlockRequest::Kind::discard: break;
        }
        return 3;
    }
    static DiskCounts::Requests read(const Requests& from) {
        return {from.done.load(std::memory_order_relaxed),
                from.bytes.load(std::memory_order_relaxed),
                from.failed.load(std::memory_order_relaxed)};
    }

    std::array<Requests, 4> requests_;  // reads, writes, flushes, discards
};

}  // namespace banyan
