#include "host/linux/helper_program.hpp"

#include <array>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <string_view>
#include <unistd.h>

#include "host/posix/host_error.hpp"
#include "host/posix/unique_fd.hpp"

extern char** environ;  // NOLINT: the C library's name

namespace banyan {

namespace {

constexpr int kHelperStartSeconds = 20;
constexpr size_t kLongestLine = 1024;

}  // namespace

std::string helper_path(const std::string& name) {
    std::array<char, PATH_MAX> own{};
    const ssize_t size = ::readlink("/proc/self/exe", own.data(), own.size() - 1);
    const std::string_view path(own.data(), size > 0 ? static_cast<size_t>(size) : 0);
    return std::string(path.substr(0, path.rfind('/') + 1)) + name;
}

Result<pid_t> start_helper(const std::string& what, const std::vector<std::string>& arguments,
                           int out, int errors) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));  // posix_spawn only reads them
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (errors >= 0) ::posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, argv[0], &files, &attributes, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    if (error == 0) return pid;
    return host_fail(error, fmt::format("{}: start {}", what, quote_name(arguments[0])),
                     "install it beside banyan");
}

std::string first_line_of_helper(int fd) {
    std::string text;
    std::array<char, 256> buffer{};
    while (text.find('\n') == std::string::npos) {
        pollfd waited{fd, POLLIN, 0};
        if (::poll(&waited, 1, kHelperStartSeconds * 1000) <= 0) return {};
        const ssize_t count =
            retry_interrupted([&] { return ::read(fd, buffer.data(), buffer.size()); });
        if (count <= 0 || text.size() > kLongestLine) return {};
        text.append(buffer.data(), static_cast<size_t>(count));
    }
    return text.substr(0, text.find('\n'));
}

}  // namespace banyan
