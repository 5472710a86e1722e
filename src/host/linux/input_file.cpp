#include "host/linux/input_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "host/posix/host_error.hpp"

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

}  // namespace

Result<InputFile> InputFile::open(const std::string& path, uint64_t limit, std::string_view what) {
    std::string whose = fmt::format("{} {}", what, quote_name(path));
    // O_NONBLOCK: opening a FIFO must not wait for a writer; it is refused below.
    UniqueFd fd(
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
    return InputFile(std::move(fd), size, std::move(whose));
}

Result<void> InputFile::read(uint64_t offset, std::span<std::byte> to) const {
    while (!to.empty()) {
        const ssize_t count = retry_interrupted(
            [&] { return ::pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset)); });
        if (count < 0) return host_fail(errno, whose_, "check the disk that it is on");
        if (count == 0) {
            return fail(
                ErrorCode::io,
                whose_ + ": the file became shorter meanwhile; try again when it is complete");
        }
        offset += static_cast<uint64_t>(count);
        to = to.subspan(static_cast<size_t>(count));
    }
    return {};
}

}  // namespace banyan
