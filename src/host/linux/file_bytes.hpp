// A whole file in memory: kernels and initial RAM disks.
//
// Copied, not mapped: a mapping of a file that somebody shortens raises SIGBUS in whoever reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "support/result.hpp"

namespace banyan {

class FileBytes {
public:
    // `what` begins the message of an error ("read the kernel"). Refuses what is not a regular
    // file, is empty, or has more than `limit` bytes.
    static Result<FileBytes> read(const std::string& path, uint64_t limit, std::string_view what);

    std::span<const std::byte> bytes() const { return {data_.get(), size_}; }

private:
    std::unique_ptr<std::byte[]> data_;
    size_t size_ = 0;
};

}  // namespace banyan
