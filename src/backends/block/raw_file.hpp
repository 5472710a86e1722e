// RawFile: a disk that is a file or block device of the host, byte for byte.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "host/posix/unique_fd.hpp"
#include "vm/backend.hpp"

namespace banyan {

struct RawFileOptions {
    bool read_only = false;
    unsigned threads = 2;
};

// Requests are carried out by threads of its own, several at once and in any order: as a disk with
// a queue, it leaves the order to whoever waits for completions. While it is open no other VM can
// open the file for writing.
class RawFile final : public BlockBackend {
public:
    static constexpr uint64_t kSectorSize = 512;

    static Result<std::unique_ptr<RawFile>> open(const std::string& path,
                                                 const RawFileOptions& options);
    ~RawFile() override;  // completes what is in flight
    RawFile(const RawFile&) = delete;
    RawFile& operator=(const RawFile&) = delete;

    uint64_t size_bytes() const override { return size_; }
    bool read_only() const override { return read_only_; }
    void submit(const BlockRequest& request, BlockClient& client) override;
    void drain() override;

private:
    struct Work {
        BlockRequest request;
        BlockClient* client = nullptr;
    };

    RawFile(UniqueFd fd, uint64_t size, const std::string& path, const RawFileOptions& options);
    void serve();
    BlockStatus carry_out(const BlockRequest& request) const;
    BlockStatus transfer(const BlockRequest& request) const;
    BlockStatus flush() const;
    BlockStatus discard(const BlockRequest& request) const;
    BlockStatus write_zeroes(const BlockRequest& request) const;
    BlockStatus host_failed(const char* operation, int error_number) const;

    const UniqueFd fd_;
    const uint64_t size_;
    const bool read_only_;
    const std::string name_;  // for messages

    std::mutex mutex_;  // a leaf: no client is called under it
    std::condition_variable work_arrived_;
    std::condition_variable became_idle_;
    std::deque<Work> queue_;
    size_t in_flight_ = 0;  // submitted and not completed
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace banyan
