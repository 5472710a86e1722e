#include "backends/block/posix_file.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sys/uio.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr size_t kMostSegments = 64;  // of one system call; a longer list takes several
constexpr size_t kZeroChunk = 64 * 1024;

// The first pieces of a scatter list, as the kernel wants them.
class Segments {
public:
    explicit Segments(const Scatter& bytes) {
        bytes.for_each([&](std::span<std::byte> piece) {
            if (count_ < kMostSegments) segments_[count_++] = {piece.data(), piece.size()};
        });
    }
    const iovec* data() const { return segments_.data(); }
    int count() const { return static_cast<int>(count_); }

private:
    std::array<iovec, kMostSegments> segments_;
    size_t count_ = 0;
};

struct Transferred {
    uint64_t bytes = 0;
    int error_number = 0;
};

// Moves all of `bytes` by call(segments, offset), which says how many it moved, until it moves
// none.
template <class Call>
Transferred transfer(uint64_t offset, const Scatter& bytes, Call call) {
    Transferred done;
    while (done.bytes < bytes.size()) {
        const Segments segments(bytes.part(done.bytes, bytes.size() - done.bytes));
        const ssize_t moved = retry_interrupted(
            [&] { return call(segments, static_cast<off_t>(offset + done.bytes)); });
        if (moved < 0) done.error_number = errno;
        if (moved <= 0) break;
        done.bytes += static_cast<uint64_t>(moved);
    }
    return done;
}

std::string_view remedy_for(int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT: return "free some space there";
        case EFBIG: return "put it where files may be larger";
        default: return "check the host's disk";
    }
}

}  // namespace

tl::unexpected<Error> PosixFile::failed(std::string_view operation, int error_number) const {
    return host_fail(error_number, fmt::format("{} {}", operation, name_),
                     remedy_for(error_number));
}

Result<void> PosixFile::read(uint64_t offset, const Scatter& to) {
    const auto done = transfer(offset, to, [&](const Segments& segments, off_t at) {
        return ::preadv(fd_.get(), segments.data(), segments.count(), at);
    });
    if (done.bytes == to.size()) return {};
    if (done.error_number != 0) return failed("read", done.error_number);
    // Somebody made the file shorter: what it held is lost, and zeroes would hide that.
    if (offset + done.bytes < size_) return failed("reach the end of", ENODATA);
    to.part(done.bytes, to.size() - done.bytes).fill_with_zeroes();
    return {};
}

Result<void> PosixFile::write(uint64_t offset, const Scatter& from) {
    const auto done = transfer(offset, from, [&](const Segments& segments, off_t at) {
        return ::pwritev(fd_.get(), segments.data(), segments.count(), at);
    });
    if (done.bytes != from.size()) return failed("write", done.error_number);
    grown_to(offset + done.bytes);
    return {};
}

void PosixFile::grown_to(uint64_t end) {
    uint64_t before = size_;
    while (before < end && !size_.compare_exchange_weak(before, end)) {
    }
}

Result<void> PosixFile::flush() {
    if (retry_interrupted([&] { return ::fdatasync(fd_.get()); }) != 0)
        return failed("flush", errno);
    return {};
}

Result<void> PosixFile::resize(uint64_t size) {
    if (retry_interrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0)
        return failed("change the size of", errno);
    size_ = size;
    return {};
}

Result<void> PosixFile::write_zeroes(uint64_t offset, uint64_t length) {
    const int result = retry_interrupted([&] {
        return ::fallocate(fd_.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                           static_cast<off_t>(offset), static_cast<off_t>(length));
    });
    if (result == 0) return {};
    if (errno != EOPNOTSUPP) return failed("write zeroes to", errno);
    return write_zero_bytes(offset, length);
}

Result<void> PosixFile::write_zero_bytes(uint64_t offset, uint64_t length) {
    std::array<std::byte, kZeroChunk> zeroes{};
    while (length > 0) {
        const uint64_t count = std::min<uint64_t>(length, zeroes.size());
        TRY(write_bytes(offset, std::span(zeroes).first(count)));
        offset += count;
        length -= count;
    }
    return {};
}

Result<void> PosixFile::discard(uint64_t offset, uint64_t length) {
    const int result = retry_interrupted([&] {
        return ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           static_cast<off_t>(offset), static_cast<off_t>(length));
    });
    if (result == 0) return {};
    return failed("discard a part of", errno);
}

// Holes, where the host's file system tells of them.
Stretch PosixFile::stretch(uint64_t offset, uint64_t length) {
    const auto start = static_cast<off_t>(offset);
    if (offset >= size_) return {true, length};
    const off_t data = ::lseek(fd_.get(), start, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return {true, length};
    if (data > start) return {true, std::min(length, static_cast<uint64_t>(data - start))};
    const off_t hole = data == start ? ::lseek(fd_.get(), start, SEEK_HOLE) : -1;
    if (hole > start) return {false, std::min(length, static_cast<uint64_t>(hole - start))};
    return {false, length};
}

}  // namespace banyan
