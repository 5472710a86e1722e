#include "host/linux/run_directory.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>

#include "host/posix/host_error.hpp"
#include "host/posix/write_all.hpp"

namespace banyan {

namespace {

constexpr size_t kLargestFile = size_t{1} << 20;
constexpr std::string_view kUnfinished = ".new";
constexpr std::string_view kDirectoryRemedy =
    "remove it, or set XDG_RUNTIME_DIR to a directory of your own";

bool is_directory(const char* path) {
    struct stat found {};
    return ::stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

std::string default_path() {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime != nullptr && runtime[0] == '/' && is_directory(runtime))
        return fmt::format("{}/banyan", runtime);
    return fmt::format("/tmp/banyan-{}", ::geteuid());
}

}  // namespace

Result<RunDirectory> RunDirectory::open() {
    return open_at(default_path());
}

Result<RunDirectory> RunDirectory::open_at(const std::string& path) {
    const std::string what = "use the directory " + quote_name(path);
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return host_fail(errno, what, kDirectoryRemedy);
    // Of links in /tmp nobody knows whose they are.
    UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat found {};
    if (!directory.valid() || ::fstat(directory.get(), &found) != 0)
        return host_fail(errno, what, kDirectoryRemedy);
    if (found.st_uid != ::geteuid() || (found.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return fail(ErrorCode::permission,
                    fmt::format("{}: others own it or have access; {}", what, kDirectoryRemedy));
    }
    return RunDirectory(std::move(directory), path);
}

Result<void> RunDirectory::write(const std::string& name, std::string_view content) const {
    const std::string unfinished = name + std::string(kUnfinished);
    const std::string what = fmt::format("write {} in {}", quote_name(name), quote_name(path_));
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    const UniqueFd file(::openat(directory_.get(), unfinished.c_str(), kFlags, 0600));
    const bool written =
        file.valid() && write_all(file.get(), std::as_bytes(std::span(content))) &&
        ::renameat(directory_.get(), unfinished.c_str(), directory_.get(), name.c_str()) == 0;
    if (!written)
        return host_fail(errno, what, "free space there, or " + std::string(kDirectoryRemedy));
    return {};
}

void RunDirectory::remove(const std::string& name) const {
    ::unlinkat(directory_.get(), name.c_str(), 0);
}

std::optional<std::string> RunDirectory::read(const std::string& name) const {
    const UniqueFd file(
        ::openat(directory_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat found {};
    if (!file.valid() || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return {};
    const auto size = static_cast<size_t>(found.st_size);
    std::string content(std::min(size, kLargestFile), '\0');
    size_t length = 0;
    while (length < content.size()) {
        const ssize_t count = retry_interrupted(
            [&] { return ::read(file.get(), &content[length], content.size() - length); });
        if (count < 0) return {};
        if (count == 0) break;
        length += static_cast<size_t>(count);
    }
    content.resize(length);
    return content;
}

// Of the directory itself, so that no file is left behind.
Result<UniqueFd> RunDirectory::lock() const {
    constexpr int kAttempts = 500;
    constexpr std::chrono::milliseconds kPause{10};
    const std::string what = "lock the directory " + quote_name(path_);
    UniqueFd own(::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own.valid()) return host_fail(errno, what, kDirectoryRemedy);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        if (::flock(own.get(), LOCK_EX | LOCK_NB) == 0) return own;
        if (errno != EWOULDBLOCK && errno != EINTR) break;
        std::this_thread::sleep_for(kPause);
    }
    return host_fail(errno, what, "end the process that keeps it");
}

std::vector<std::string> RunDirectory::names() const {
    std::vector<std::string> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> list(::opendir(path_.c_str()), ::closedir);
    if (list == nullptr) return found;
    while (const dirent* entry = ::readdir(list.get())) {
        const std::string_view name = entry->d_name;
        if (!name.starts_with('.') && !name.ends_with(kUnfinished)) found.emplace_back(name);
    }
    std::sort(found.begin(), found.end());
    return found;
}

// proc(5): the name of the program, in brackets, may hold anything; the state is field 3, the start
// field 22.
std::optional<uint64_t> process_start(int pid) {
    std::stringstream all;
    all << std::ifstream(fmt::format("/proc/{}/stat", pid)).rdbuf();
    std::string text = all.str();
    const size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) return {};
    std::istringstream fields(text.substr(name_end + 1));
    std::string field;
    for (int number = 3; number <= 22; ++number) {
        if (!(fields >> field)) return {};
        const bool is_state = number == 3;
        if (is_state && (field == "Z" || field == "X")) return {};
    }
    uint64_t start = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), start);
    if (error != std::errc{} || end != field.data() + field.size()) return {};
    return start;
}

}  // namespace banyan
