// MappedFile: a small file whose bytes are memory, and whose memory reaches the file, even when the
// process is killed. Nobody else has it at the same time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

class MappedFile {
public:
    // A file that is not there is made with these bytes; one that is must have as many. `what`
    // begins the error message ("keep the variables in").
    static Result<std::unique_ptr<MappedFile>> open_or_create(const std::string& path,
                                                              std::span<const std::byte> initial,
                                                              std::string_view what);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<std::byte> bytes() const { return bytes_; }

private:
    MappedFile(UniqueFd fd, std::span<std::byte> bytes) : fd_(std::move(fd)), bytes_(bytes) {}

    UniqueFd fd_;  // holds the lock
    std::span<std::byte> bytes_;
};

}  // namespace banyan
