// RotatingFile: the last part of what was written, in two files of bounded size.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

// What does not fit into PATH any more begins a new one; the old one becomes PATH.1, and what was
// PATH.1 is gone. What cannot be written is dropped. From any thread.
class RotatingFile {
public:
    // For its user alone; what is there is overwritten.
    static Result<std::unique_ptr<RotatingFile>> create(const std::string& path, size_t most_bytes);
    RotatingFile(const RotatingFile&) = delete;
    RotatingFile& operator=(const RotatingFile&) = delete;

    void write(std::string_view bytes);
    static std::string older(const std::string& path) { return path + ".1"; }

private:
    RotatingFile(std::string path, size_t most_bytes, UniqueFd fd)
        : path_(std::move(path)), most_bytes_(most_bytes), fd_(std::move(fd)) {}
    void rotate();

    const std::string path_;
    const size_t most_bytes_;

    std::mutex mutex_;  // a leaf
    UniqueFd fd_;
    size_t size_ = 0;
};

}  // namespace banyan
