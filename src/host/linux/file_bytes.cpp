#include "host/linux/file_bytes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <new>
#include <sys/stat.h>

#include "host/posix/host_error.hpp"
#include "host/posix/unique_fd.hpp"

namespace banyan {

namespace {

Result<void> check_kind(const struct stat& info, const std::string& whose) {
    if (S_ISDIR(info.st_mode)) {
        return fail(ErrorCode::invalid_argument,
                    whose + ": it is a directory; give the name of a file");
    }
    if (!S_ISREG(info.st_mode)) {
        return fail(ErrorCode::invalid_argument,
                    whose + ": it is not a regular file; give the name of a file");
    }
    if (info.st_size <= 0) {
        return fail(ErrorCode::invalid_data, whose + ": the file is empty; give a complete one");
    }
    return {};
}

Result<void> read_all(int fd, std::span<std::byte> to, const std::string& whose) {
    while (!to.empty()) {
        const ssize_t count = retry_interrupted([&] { return ::read(fd, to.data(), to.size()); });
        if (count < 0) return host_fail(errno, whose, "check the disk that it is on");
        if (count == 0) {
            return fail(
                ErrorCode::io,
                whose + ": the file became shorter meanwhile; try again when it is complete");
        }
        to = to.subspan(static_cast<size_t>(count));
    }
    return {};
}

}  // namespace

Result<FileBytes> FileBytes::read(const std::string& path, uint64_t limit, std::string_view what) {
    const std::string whose = fmt::format("{} {}", what, quote_name(path));
    // O_NONBLOCK: opening a FIFO must not wait for a writer; it is refused below.
    const UniqueFd fd(
        retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (!fd.valid()) {
        const int error_number = errno;
        return host_fail(error_number, whose,
                         error_number == EACCES ? "make it readable for you" : "check its name");
    }
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return host_fail(errno, whose, "check the file");
    TRY(check_kind(info, whose));
    const auto size = static_cast<uint64_t>(info.st_size);
    if (size > limit) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format(
                "{}: it has {} MiB and {} MiB are possible; give more memory or a smaller file",
                whose, size >> 20, limit >> 20));
    }
    FileBytes file;
    file.data_.reset(new (std::nothrow) std::byte[size]);
    if (file.data_ == nullptr) return host_fail(ENOMEM, whose, "free some memory");
    file.size_ = size;
    TRY(read_all(fd.get(), {file.data_.get(), file.size_}, whose));
    return file;
}

}  // namespace banyan
