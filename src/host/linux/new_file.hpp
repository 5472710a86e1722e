// NewFile: a file that gets its name when it is complete.
#pragma once

#include <string>

#include "support/result.hpp"

namespace banyan {

class NewFile {
public:
    enum class IfThere : uint8_t { refuse, replace };

    // Empty, beside `path` under another name, which must be free unless it is to be replaced.
    static Result<NewFile> create(const std::string& path, IfThere if_there);
    ~NewFile();  // removes what was not kept
    NewFile(NewFile&& other) noexcept;
    NewFile& operator=(NewFile&&) = delete;

    const std::string& temporary_path() const { return temporary_; }
    // Its content has been flushed. A power cut afterwards leaves it under its name.
    Result<void> keep();

private:
    NewFile(std::string path, std::string temporary, IfThere if_there)
        : path_(std::move(path)), temporary_(std::move(temporary)), if_there_(if_there) {}

    std::string path_;
    std::string temporary_;  // empty: there is nothing to remove
    IfThere if_there_;
};

}  // namespace banyan
