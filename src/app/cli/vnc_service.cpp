#include "app/cli/vnc_service.hpp"

#include <array>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "app/cli/values.hpp"
#include "host/linux/run_directory.hpp"
#include "host/linux/socket_address.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"

extern char** environ;  // NOLINT: the C library's name

namespace banyan {

namespace {

constexpr int kStartSeconds = 20;

tl::unexpected<Error> wrong_display(std::string_view text, std::string_view why) {
    return fail(ErrorCode::invalid_argument, fmt::format("--display {}: {}; give none or "
                                                         "vnc[=ADDR:PORT][,password=FILE]",
                                                         quote_name(text), why));
}

// Beside the program that runs.
std::string helper_path() {
    std::array<char, PATH_MAX> own{};
    const ssize_t size = ::readlink("/proc/self/exe", own.data(), own.size() - 1);
    const std::string_view path(own.data(), size > 0 ? static_cast<size_t>(size) : 0);
    return std::string(path.substr(0, path.rfind('/') + 1)) + "banyan-vnc";
}

// The child's standard output is `out`; it takes no signal that this process holds.
Result<pid_t> spawn(const std::vector<std::string>& arguments, int out) {
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
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, argv[0], &files, &attributes, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    if (error == 0) return pid;
    return host_fail(error, fmt::format("--display vnc: start {}", quote_name(arguments[0])),
                     "install it beside banyan");
}

// The line that the helper writes when it listens; empty when it has ended.
std::string read_place(int fd) {
    std::string text;
    std::array<char, 256> buffer{};
    while (text.find('\n') == std::string::npos) {
        pollfd waited{fd, POLLIN, 0};
        if (::poll(&waited, 1, kStartSeconds * 1000) <= 0) return {};
        const ssize_t count =
            retry_interrupted([&] { return ::read(fd, buffer.data(), buffer.size()); });
        if (count <= 0 || text.size() > buffer.size()) return {};
        text.append(buffer.data(), static_cast<size_t>(count));
    }
    return text.substr(0, text.find('\n'));
}

}  // namespace

Result<VncChoice> parse_vnc(std::string_view text) {
    constexpr std::string_view kVnc = "vnc";
    constexpr std::string_view kAt = "vnc=";
    VncChoice choice;
    TRY_ASSIGN(parts, parse_settings("--display", text));
    if (parts.file.starts_with(kAt)) {
        const auto address = parse_socket_address(parts.file.substr(kAt.size()));
        if (!address || !address->path.empty())
            return wrong_display(text, "that is no address with a port");
        TRY_ASSIGN(port, parse_number("--display vnc", address->port, 0xFFFF));
        choice.host = address->host;
        choice.first_port = choice.last_port = static_cast<uint16_t>(port);
    } else if (parts.file != kVnc) {
        return wrong_display(text, "there is no such display");
    }
    for (const auto& [key, value] : parts.settings) {
        if (key != "password" || value.empty())
            return wrong_display(text, fmt::format("it has no setting {}", quote_name(key)));
        choice.password_file = value;
    }
    return choice;
}

Result<std::unique_ptr<VncService>> VncService::start(Poller& poller, VmApi& vm,
                                                      const std::string& name,
                                                      const VncChoice& choice) {
    if (vm.display() == nullptr) {
        return fail(ErrorCode::invalid_argument,
                    "--display vnc: the VM has no screen; use --machine pc or --vga on");
    }
    TRY_ASSIGN(directory, RunDirectory::open());
    const std::string socket = fmt::format("{}/{}.vnc", directory.path(), ::getpid());
    auto service = std::unique_ptr<VncService>(new VncService());
    TRY_ASSIGN(screen, ScreenService::start(poller, vm, socket));
    service->screen_ = std::move(screen);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return host_fail(errno, "--display vnc", "raise the limit of open files (ulimit -n)");
    const UniqueFd place_from(ends[0]);
    UniqueFd place_to(ends[1]);
    std::vector<std::string> arguments{helper_path(),
                                       socket,
                                       name,
                                       choice.host,
                                       std::to_string(choice.first_port),
                                       std::to_string(choice.last_port)};
    if (!choice.password_file.empty()) arguments.push_back(choice.password_file);
    TRY_ASSIGN(helper, spawn(arguments, place_to.get()));
    service->helper_ = helper;
    place_to.reset();
    const std::string place = read_place(place_from.get());
    if (place.empty()) {
        return fail(ErrorCode::io,
                    "--display vnc: the VNC server ended at its start; see its message above");
    }
    print_message(fmt::format("display: VNC clients find it at {}", place));
    return service;
}

VncService::~VncService() {
    screen_.reset();
    if (helper_ < 0) return;
    ::kill(helper_, SIGTERM);
    retry_interrupted([&] { return ::waitpid(helper_, nullptr, 0); });
}

}  // namespace banyan
