#include "backends/block/image_disk.hpp"

#include "host/posix/host_error.hpp"
#include "host/posix/threads.hpp"
#include "support/log.hpp"

namespace banyan {

Result<std::unique_ptr<ImageDisk>> ImageDisk::open(const ImageDiskOptions& options) {
    TRY_ASSIGN(opened, open_image_chain({options.path, options.format, options.read_only}));
    if (opened.guessed && opened.format != ImageFormat::raw) {
        LOG_WARNING("disk", "%s: it holds a qcow2 image, and is used as one; say format=qcow2",
                    quote_name(options.path).c_str());
    }
    return std::unique_ptr<ImageDisk>(new ImageDisk(std::move(opened), options));
}

ImageDisk::ImageDisk(OpenedImage opened, const ImageDiskOptions& options)
    : image_(std::move(opened.disk)), format_(opened.format), read_only_(options.read_only) {
    for (unsigned i = 0; i < options.threads; ++i) {
        threads_.push_back(start_thread("disk", [this] { serve(); }));
    }
}

ImageDisk::~ImageDisk() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    work_arrived_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
    if (read_only_) return;
    if (const auto closed = image_->close(); !closed) {
        LOG_ERROR("disk", "%s", closed.error().text().data());
    }
}

// A raw image's file system may be unable to do them.
bool ImageDisk::supports(BlockRequest::Kind kind) const {
    return format_ == ImageFormat::qcow2 || BlockBackend::supports(kind);
}

void ImageDisk::submit(const BlockRequest& request, BlockClient& client) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back({request, &client});
        ++in_flight_;
    }
    work_arrived_.notify_one();
}

void ImageDisk::drain() {
    std::unique_lock lock(mutex_);
    became_idle_.wait(lock, [&] { return in_flight_ == 0; });
}

void ImageDisk::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        work_arrived_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        const Work work = queue_.front();
        queue_.pop_front();
        lock.unlock();
        work.client->on_block_complete(work.request.cookie, carry_out(work.request));
        lock.lock();
        if (--in_flight_ == 0) became_idle_.notify_all();
    }
}

BlockStatus ImageDisk::carry_out(const BlockRequest& request) const {
    using Kind = BlockRequest::Kind;
    const bool changes = request.kind != Kind::read && request.kind != Kind::flush;
    if (changes && read_only_) return BlockStatus::io_error;
    if (request.kind == Kind::flush && read_only_) return BlockStatus::ok;
    const auto result = call_image(request);
    if (result) return BlockStatus::ok;
    if (result.error().code() == ErrorCode::unsupported) return BlockStatus::unsupported;
    LOG_LIMITED(LogLevel::warning, "disk", "%s; the guest sees an I/O error",
                result.error().text().data());
    return BlockStatus::io_error;
}

Result<void> ImageDisk::call_image(const BlockRequest& request) const {
    using Kind = BlockRequest::Kind;
    const Scatter bytes(request.buffers, request.length);
    switch (request.kind) {
        case Kind::read: return image_->read(request.offset, bytes);
        case Kind::write: return image_->write(request.offset, bytes);
        case Kind::flush: return image_->flush();
        case Kind::discard: return image_->discard(request.offset, request.length);
        case Kind::write_zeroes: return image_->write_zeroes(request.offset, request.length);
    }
    return fail(ErrorCode::unsupported, "no such request");
}

}  // namespace banyan
