// GuestRam: host memory that a guest's RAM lives in.
//
// One sealed memfd, mapped shared, so that other processes (back ends, a fork of the VM) can map
// the same pages. The host gives pages when they are first touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

class GuestRam {
public:
    // `size` is a multiple of the page size; `name` is what /proc/PID/maps shows.
    static Result<std::unique_ptr<GuestRam>> create(uint64_t size, const std::string& name);
    ~GuestRam();
    GuestRam(const GuestRam&) = delete;
    GuestRam& operator=(const GuestRam&) = delete;

    std::span<std::byte> bytes() const { return bytes_; }
    int fd() const { return fd_.get(); }

private:
    GuestRam(UniqueFd fd, std::span<std::byte> bytes) : fd_(std::move(fd)), bytes_(bytes) {}
    UniqueFd fd_;
    std::span<std::byte> bytes_;
};

}  // namespace banyan
