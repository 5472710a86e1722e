// PerfMap: the file in which perf looks for the names of code that a process has made
// (tools/perf/Documentation/jit-interface.txt in Linux).
#pragma once

#include <memory>
#include <string>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"
#include "vm/engine.hpp"

namespace banyan {

class PerfMap final : public HostCodeListener {
public:
    // Of this process, in place of one that an earlier process of this number left. It stays when
    // the process has ended: perf reads it afterwards.
    static Result<std::unique_ptr<PerfMap>> create();

    void on_host_code(const void* start, size_t size, std::string_view name) override;
    const std::string& path() const { return path_; }

private:
    PerfMap(UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    UniqueFd file_;
    std::string path_;
};

}  // namespace banyan
