// CharFile: output that is written to a file.
#pragma once

#include <memory>
#include <string>

#include "host/posix/unique_fd.hpp"
#include "vm/backend.hpp"

namespace banyan {

class CharFile final : public CharBackend {
public:
    // `what` begins messages ("write the console to"). A file is made, or emptied if it is there.
    static Result<std::unique_ptr<CharFile>> create(const std::string& path, std::string_view what);

    size_t write(std::span<const uint8_t> bytes) override;

private:
    CharFile(UniqueFd fd, std::string what) : fd_(std::move(fd)), what_(std::move(what)) {}

    const UniqueFd fd_;
    const std::string what_;
    bool lost_ = false;
};

}  // namespace banyan
