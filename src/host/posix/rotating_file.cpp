#include "host/posix/rotating_file.hpp"

#include <cstdio>
#include <fcntl.h>

#include "host/posix/host_error.hpp"
#include "host/posix/write_all.hpp"

namespace banyan {

namespace {

UniqueFd open_empty(const std::string& path) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
    return UniqueFd(retry_interrupted([&] { return ::open(path.c_str(), kFlags, 0600); }));
}

}  // namespace

Result<std::unique_ptr<RotatingFile>> RotatingFile::create(const std::string& path,
                                                           size_t most_bytes) {
    UniqueFd fd = open_empty(path);
    if (!fd.valid()) {
        return host_fail(errno, "keep a log in " + quote_name(path),
                         "free space there, or set XDG_RUNTIME_DIR to another directory");
    }
    return std::unique_ptr<RotatingFile>(new RotatingFile(path, most_bytes, std::move(fd)));
}

void RotatingFile::write(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    while (!bytes.empty()) {
        if (size_ == most_bytes_) rotate();
        if (!fd_.valid()) return;
        const std::string_view part = bytes.substr(0, most_bytes_ - size_);
        write_all(fd_.get(), std::as_bytes(std::span(part)));
        size_ += part.size();
        bytes.remove_prefix(part.size());
    }
}

void RotatingFile::rotate() {
    std::rename(path_.c_str(), older(path_).c_str());
    fd_ = open_empty(path_);
    size_ = 0;
}

}  // namespace banyan
