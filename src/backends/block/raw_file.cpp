#include "backends/block/raw_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>

#include "backends/block/open_image.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/threads.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

constexpr size_t kMostSegments = 64;  // of one system call; a longer list takes several
constexpr size_t kZeroChunk = 64 * 1024;

// Walks a scatter list: gives the next segments as the kernel wants them, and skips what was
// transferred.
class ScatterWalk {
public:
    explicit ScatterWalk(std::span<const std::span<std::byte>> buffers) : rest_(buffers) {
        skip_empty();
    }

    bool done() const { return rest_.empty(); }

    std::span<const iovec> next() {
        size_t count = 0;
        size_t offset = offset_;
        for (const auto& buffer : rest_.first(std::min(rest_.size(), kMostSegments))) {
            const auto part = buffer.subspan(offset);
            segments_[count++] = {part.data(), part.size()};
            offset = 0;
        }
        return std::span(segments_).first(count);
    }

    void advance(size_t bytes) {
        offset_ += bytes;
        while (!rest_.empty() && offset_ >= rest_.front().size()) {
            offset_ -= rest_.front().size();
            rest_ = rest_.subspan(1);
        }
    }

private:
    void skip_empty() { advance(0); }

    std::span<const std::span<std::byte>> rest_;
    size_t offset_ = 0;  // into the first buffer
    std::array<iovec, kMostSegments> segments_{};
};

}  // namespace

Result<std::unique_ptr<RawFile>> RawFile::open(const std::string& path,
                                               const RawFileOptions& options) {
    TRY_ASSIGN(image, open_image(path, options.read_only));
    return std::unique_ptr<RawFile>(new RawFile(std::move(image.fd), image.size, path, options));
}

RawFile::RawFile(UniqueFd fd, uint64_t size, const std::string& path, const RawFileOptions& options)
    : fd_(std::move(fd)), size_(size), read_only_(options.read_only), name_(quote_name(path)) {
    for (unsigned i = 0; i < options.threads; ++i) {
        threads_.push_back(start_thread("disk", [this] { serve(); }));
    }
}

RawFile::~RawFile() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    work_arrived_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
}

void RawFile::submit(const BlockRequest& request, BlockClient& client) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back({request, &client});
        ++in_flight_;
    }
    work_arrived_.notify_one();
}

void RawFile::drain() {
    std::unique_lock lock(mutex_);
    became_idle_.wait(lock, [&] { return in_flight_ == 0; });
}

void RawFile::serve() {
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

BlockStatus RawFile::carry_out(const BlockRequest& request) const {
    using Kind = BlockRequest::Kind;
    const bool changes = request.kind != Kind::read && request.kind != Kind::flush;
    if (changes && read_only_) return BlockStatus::io_error;
    switch (request.kind) {
        case Kind::read:
        case Kind::write: return transfer(request);
        case Kind::flush: return flush();
        case Kind::discard: return discard(request);
        case Kind::write_zeroes: return write_zeroes(request);
    }
    return BlockStatus::unsupported;
}

BlockStatus RawFile::transfer(const BlockRequest& request) const {
    const bool reading = request.kind == BlockRequest::Kind::read;
    auto offset = static_cast<off_t>(request.offset);
    for (ScatterWalk walk(request.buffers); !walk.done();) {
        const auto segments = walk.next();
        const int count = static_cast<int>(segments.size());
        const ssize_t moved = retry_interrupted([&] {
            return reading ? ::preadv(fd_.get(), segments.data(), count, offset)
                           : ::pwritev(fd_.get(), segments.data(), count, offset);
        });
        if (moved < 0) return host_failed(reading ? "read" : "write", errno);
        if (moved == 0)
            return host_failed("reach the end of", ENODATA);  // somebody made the file shorter
        walk.advance(static_cast<size_t>(moved));
        offset += moved;
    }
    return BlockStatus::ok;
}

BlockStatus RawFile::flush() const {
    if (read_only_) return BlockStatus::ok;
    if (retry_interrupted([&] { return ::fdatasync(fd_.get()); }) != 0)
        return host_failed("flush", errno);
    return BlockStatus::ok;
}

BlockStatus RawFile::discard(const BlockRequest& request) const {
    const int result = retry_interrupted([&] {
        return ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           static_cast<off_t>(request.offset), static_cast<off_t>(request.length));
    });
    if (result == 0) return BlockStatus::ok;
    return errno == EOPNOTSUPP ? BlockStatus::unsupported : host_failed("discard a part of", errno);
}

BlockStatus RawFile::write_zeroes(const BlockRequest& request) const {
    auto offset = static_cast<off_t>(request.offset);
    auto left = static_cast<off_t>(request.length);
    const int result = retry_interrupted([&] {
        return ::fallocate(fd_.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, left);
    });
    if (result == 0) return BlockStatus::ok;
    if (errno != EOPNOTSUPP) return host_failed("write zeroes to", errno);

    static constexpr std::array<std::byte, kZeroChunk> kZeroes{};
    while (left > 0) {
        const size_t chunk = std::min(kZeroChunk, static_cast<size_t>(left));
        const ssize_t written =
            retry_interrupted([&] { return ::pwrite(fd_.get(), kZeroes.data(), chunk, offset); });
        if (written <= 0) return host_failed("write zeroes to", written < 0 ? errno : ENOSPC);
        offset += written;
        left -= written;
    }
    return BlockStatus::ok;
}

BlockStatus RawFile::host_failed(const char* operation, int error_number) const {
    LOG_LIMITED(LogLevel::warning, "disk", "cannot %s %s: %s; the guest sees an I/O error",
                operation, name_.c_str(), errno_text(error_number).c_str());
    return BlockStatus::io_error;
}

}  // namespace banyan
