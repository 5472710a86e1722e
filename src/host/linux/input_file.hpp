// A file that is read where it is needed: kernels and initial RAM disks.
//
// Read, not mapped: a mapping of a file that somebody shortens raises SIGBUS in whoever reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

class InputFile {
public:
    // `what` begins the message of an error ("read the kernel"). Refuses what is not a regular
    // file, is empty, or has more than `limit` bytes.
    static Result<InputFile> open(const std::string& path, uint64_t limit, std::string_view what);

    uint64_t size() const { return size_; }
    // The bytes from `offset` on, all of them; an error if the file has become shorter.
    Result<void> read(uint64_t offset, std::span<std::byte> to) const;

private:
    InputFile(UniqueFd fd, uint64_t size, std::string whose)
        : fd_(std::move(fd)), size_(size), whose_(std::move(whose)) {}

    UniqueFd fd_;
    uint64_t size_;
    std::string whose_;  // for messages
};

}  // namespace banyan
