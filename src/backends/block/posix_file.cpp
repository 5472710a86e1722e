#include "backends/block/posix_file.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sys/uio.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr size_t kMostSegments = 64;  // of one system call; a longer list takes several
constexpr size_t kZeroChunk = 64 * 1024;
constexpr uint64_t kDirectAlignment = 512;
constexpr size_t kBounceBytes = 128 * 1024;  // at once, of memory that direct I/O cannot use

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

bool in_sectors(const Scatter& bytes) {
    bool aligned = true;
    bytes.for_each([&](std::span<std::byte> piece) {
        const auto address = reinterpret_cast<uintptr_t>(piece.data());
        aligned = aligned && (address | piece.size()) % kDirectAlignment == 0;
    });
    return aligned;
}

// Memory that direct I/O can use, for requests whose own it cannot.
class Bounce {
public:
    explicit Bounce(size_t size)
        : memory_(std::aligned_alloc(4096, (size + 4095) / 4096 * 4096)), size_(size) {}
    ~Bounce() { std::free(memory_); }
    Bounce(const Bounce&) = delete;
    Bounce& operator=(const Bounce&) = delete;
    bool valid() const { return memory_ != nullptr; }
    std::span<std::byte> bytes() const { return {static_cast<std::byte*>(memory_), size_}; }

private:
    void* const memory_;
    const size_t size_;
};

// As transfer(), by way of other memory: move(bytes, offset) is given some of it at a time.
template <class Move>
Transferred bounce(uint64_t offset, const Scatter& bytes, Move move) {
    const Bounce memory(std::min<uint64_t>(bytes.size(), kBounceBytes));
    if (!memory.valid()) return {0, ENOMEM};
    Transferred done;
    while (done.bytes < bytes.size()) {
        const uint64_t count = std::min<uint64_t>(bytes.size() - done.bytes, memory.bytes().size());
        const Transferred part =
            move(offset + done.bytes, bytes.part(done.bytes, count), memory.bytes().first(count));
        done.bytes += part.bytes;
        done.error_number = part.error_number;
        if (part.bytes != count) break;
    }
    return done;
}

Transferred read_by(int fd, uint64_t offset, const Scatter& to) {
    return transfer(offset, to, [&](const Segments& segments, off_t at) {
        return ::preadv(fd, segments.data(), segments.count(), at);
    });
}

Transferred write_by(int fd, uint64_t offset, const Scatter& from) {
    return transfer(offset, from, [&](const Segments& segments, off_t at) {
        return ::pwritev(fd, segments.data(), segments.count(), at);
    });
}

uint64_t whole_sectors_before(uint64_t offset) {
    return offset / kDirectAlignment * kDirectAlignment;
}

uint64_t whole_sectors_to(uint64_t offset) {
    return whole_sectors_before(offset + kDirectAlignment - 1);
}

bool whole_sectors(uint64_t offset, uint64_t length) {
    return (offset | length) % kDirectAlignment == 0;
}

// The sectors around bytes that are none: read, and given to use(), which returns how it went.
template <class Use>
Transferred with_sectors_around(int fd, uint64_t offset, uint64_t length, Use use) {
    const uint64_t start = whole_sectors_before(offset);
    const Bounce memory(whole_sectors_to(offset + length) - start);
    if (!memory.valid()) return {0, ENOMEM};
    const Transferred there = read_by(fd, start, OneBuffer(memory.bytes()));
    if (there.error_number != 0) return {0, there.error_number};
    const uint64_t end = start + there.bytes;  // the end of the file may come first
    if (there.bytes < memory.bytes().size()) {
        std::memset(&memory.bytes()[there.bytes], 0, memory.bytes().size() - there.bytes);
    }
    return use(start, memory.bytes(), end > offset ? std::min(end - offset, length) : 0);
}

Transferred read_odd(int fd, uint64_t offset, const Scatter& to) {
    return with_sectors_around(
        fd, offset, to.size(), [&](uint64_t start, std::span<std::byte> sectors, uint64_t there) {
            to.part(0, there).copy_from(sectors.subspan(offset - start, there));
            return Transferred{there, 0};
        });
}

// What is no multiple of a sector are tables, headers and compressed data, which are written by one
// at a time: nobody else changes these sectors meanwhile.
Transferred write_odd(int fd, uint64_t offset, const Scatter& from) {
    return with_sectors_around(
        fd, offset, from.size(), [&](uint64_t start, std::span<std::byte> sectors, uint64_t) {
            from.copy_to(sectors.subspan(offset - start, from.size()));
            const Transferred done = write_by(fd, start, OneBuffer(sectors));
            return Transferred{done.bytes == sectors.size() ? from.size() : 0, done.error_number};
        });
}

Transferred read_direct(int fd, uint64_t offset, const Scatter& to) {
    if (!whole_sectors(offset, to.size())) return read_odd(fd, offset, to);
    if (in_sectors(to)) return read_by(fd, offset, to);
    return bounce(offset, to, [&](uint64_t at, const Scatter& part, std::span<std::byte> memory) {
        const Transferred done = read_by(fd, at, OneBuffer(memory));
        part.part(0, done.bytes).copy_from(memory.first(done.bytes));
        return done;
    });
}

Transferred write_direct(int fd, uint64_t offset, const Scatter& from) {
    if (!whole_sectors(offset, from.size())) return write_odd(fd, offset, from);
    if (in_sectors(from)) return write_by(fd, offset, from);
    return bounce(offset, from, [&](uint64_t at, const Scatter& part, std::span<std::byte> memory) {
        part.copy_to(memory);
        return write_by(fd, at, OneBuffer(memory));
    });
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

FileAccess PosixFile::access() const {
    if (!direct_fd_.valid()) return {fd_.get(), 1};
    return {direct_fd_.get(), kDirectAlignment};
}

Result<void> PosixFile::read(uint64_t offset, const Scatter& to) {
    const auto done = direct_fd_.valid() ? read_direct(direct_fd_.get(), offset, to)
                                         : read_by(fd_.get(), offset, to);
    if (done.bytes == to.size()) return {};
    if (done.error_number != 0) return failed("read", done.error_number);
    // Somebody made the file shorter: what it held is lost, and zeroes would hide that.
    if (offset + done.bytes < size_) return failed("reach the end of", ENODATA);
    to.part(done.bytes, to.size() - done.bytes).fill_with_zeroes();
    return {};
}

Result<void> PosixFile::write(uint64_t offset, const Scatter& from) {
    const auto done = direct_fd_.valid() ? write_direct(direct_fd_.get(), offset, from)
                                         : write_by(fd_.get(), offset, from);
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
    if (!flushes_) return {};
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
    // Only a hint: where the file system cannot, what was there stays.
    if (errno == EOPNOTSUPP) return {};
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
