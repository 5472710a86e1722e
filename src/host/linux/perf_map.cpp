#include "host/linux/perf_map.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include "host/posix/host_error.hpp"

namespace banyan {

// /tmp belongs to everybody: whatever is there under this name is removed, never opened.
Result<std::unique_ptr<PerfMap>> PerfMap::create() {
    std::string path = fmt::format("/tmp/perf-{}.map", ::getpid());
    ::unlink(path.c_str());
    UniqueFd file(::open(path.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) {
        return host_fail(errno, fmt::format("write {}", path),
                         "remove what is there, or leave out --trace jit-map");
    }
    return std::unique_ptr<PerfMap>(new PerfMap(std::move(file), std::move(path)));
}

// One write is one line, whichever vCPU it is of. On a full disk the names of some code are
// missing, and the guest runs on.
void PerfMap::on_host_code(const void* start, size_t size, std::string_view name) {
    const std::string line =
        fmt::format("{:x} {:x} {}\n", reinterpret_cast<uintptr_t>(start), size, name);
    [[maybe_unused]] const ssize_t written =
        retry_interrupted([&] { return ::write(file_.get(), line.data(), line.size()); });
}

}  // namespace banyan
