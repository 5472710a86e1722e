// ImageDisk: a disk that is an image of some format, served by threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "backends/block/image_chain.hpp"
#include "vm/backend.hpp"

namespace banyan {

struct ImageDiskOptions {
    std::string path = {};
    std::optional<ImageFormat> format = {};  // none: by what the file holds
    bool read_only = false;
    unsigned threads = 2;
};

// Requests are carried out by threads of its own, several at once and in any order: as a disk with
// a queue, it leaves the order to whoever waits for completions. While it is open no other VM can
// open its file for writing.
class ImageDisk final : public BlockBackend {
public:
    static Result<std::unique_ptr<ImageDisk>> open(const ImageDiskOptions& options);
    ~ImageDisk() override;  // completes what is in flight
    ImageDisk(const ImageDisk&) = delete;
    ImageDisk& operator=(const ImageDisk&) = delete;

    ImageFormat format() const { return format_; }
    uint64_t size_bytes() const override { return image_->size(); }
    bool read_only() const override { return read_only_; }
    bool supports(BlockRequest::Kind kind) const override;
    void submit(const BlockRequest& request, BlockClient& client) override;
    void drain() override;

private:
    struct Work {
        BlockRequest request;
        BlockClient* client = nullptr;
    };

    ImageDisk(OpenedImage opened, const ImageDiskOptions& options);
    void serve();
    BlockStatus carry_out(const BlockRequest& request) const;
    Result<void> call_image(const BlockRequest& request) const;

    const std::unique_ptr<DiskImage> image_;
    const ImageFormat format_;
    const bool read_only_;

    std::mutex mutex_;  // a leaf: no client is called under it
    std::condition_variable work_arrived_;
    std::condition_variable became_idle_;
    std::deque<Work> queue_;
    size_t in_flight_ = 0;  // submitted and not completed
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace banyan
