// RunDirectory: where the running programs of one user leave small files for each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

class RunDirectory {
public:
    // $XDG_RUNTIME_DIR/banyan, or /tmp/banyan-UID where there is no such place; made if need be.
    // Refuses one that others can write to.
    static Result<RunDirectory> open();
    static Result<RunDirectory> open_at(const std::string& path);

    const std::string& path() const { return path_; }

    // The whole file at once: readers find the old or the new content.
    Result<void> write(const std::string& name, std::string_view content) const;
    // With what a write() of it left that did not end.
    void remove(const std::string& name) const;
    // Nothing: there is no such file any more, or it is none that write() made.
    std::optional<std::string> read(const std::string& name) const;
    // One process at a time has it, until the result goes. Fails when somebody keeps it for long.
    Result<UniqueFd> lock() const;
    // In order of their names.
    std::vector<std::string> names() const;
    // Those of which a write() has not ended: it goes on, or its process was killed.
    std::vector<std::string> unfinished() const;

private:
    RunDirectory(UniqueFd directory, std::string path)
        : directory_(std::move(directory)), path_(std::move(path)) {}
    std::vector<std::string> all_names() const;

    UniqueFd directory_;
    std::string path_;
};

// When a process began, in the kernel's own units: tells it from a later one of the same number.
// Nothing: there is none, or it has ended and only waits for its parent.
std::optional<uint64_t> process_start(int pid);

}  // namespace banyan
