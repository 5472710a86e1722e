#include "app/cli/detached.hpp"

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/cli/cli.hpp"
#include "app/cli/print.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"
#include "manager/running_vms.hpp"

namespace banyan {

namespace {

constexpr size_t kLargestMessages = 64 << 10;  // two such files

// Up to its end: empty when the VM never ran.
std::string read_all(int fd) {
    std::string text;
    std::array<char, 256> buffer{};
    for (;;) {
        const ssize_t count =
            retry_interrupted([&] { return ::read(fd, buffer.data(), buffer.size()); });
        if (count <= 0) return text;
        text.append(buffer.data(), static_cast<size_t>(count));
    }
}

// In the caller's process.
int wait_until_started(pid_t vm, UniqueFd started) {
    const std::string name = read_all(started.get());
    if (!name.empty()) return print_output(name + "\n");
    int status = 0;
    retry_interrupted([&] { return ::waitpid(vm, &status, 0); });
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    print_message(
        "run --detach: the VM's process was killed before the guest ran; see the host's "
        "log, it may be out of memory");
    return kStatusFailed;
}

void close_standard_streams() {
    const UniqueFd nowhere(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        ::dup2(nowhere.get(), stream);
}

}  // namespace

Result<Detached::Start> Detached::start() {
    TRY_ASSIGN(directory, RunDirectory::open());
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return host_fail(errno, "run --detach", "raise the limit of open files (ulimit -n)");
    UniqueFd from(ends[0]);
    UniqueFd to(ends[1]);
    std::fflush(nullptr);
    const pid_t vm = ::fork();
    if (vm < 0) return host_fail(errno, "run --detach", "end some processes");
    if (vm > 0) {
        to.reset();
        return Start{wait_until_started(vm, std::move(from)), nullptr};
    }
    ::setsid();
    return Start{std::nullopt,
                 std::unique_ptr<Detached>(new Detached(std::move(to), std::move(directory)))};
}

Result<void> Detached::set_console(ConsoleChoice& console) {
    const auto place = [&](std::string_view kind) {
        return fmt::format("{}/{}", directory_.path(), vm_file(::getpid(), kind));
    };
    if (console.kind == ConsoleKind::stdio)
        console = {ConsoleKind::socket, place(kConsole), place(kConsoleLog)};
    TRY_ASSIGN(messages, RotatingFile::create(place(kMessages), kLargestMessages));
    messages_ = std::move(messages);
    return {};
}

bool Detached::let_caller_go(const std::string& name) {
    const ssize_t written =
        retry_interrupted([&] { return ::write(started_.get(), name.data(), name.size()); });
    started_.reset();
    write_messages_to(messages_.get());
    close_standard_streams();
    return written == static_cast<ssize_t>(name.size());
}

Detached::~Detached() {
    write_messages_to(nullptr);
    for (const std::string_view kind : {kConsoleLog, kMessages}) {
        const std::string file = vm_file(::getpid(), kind);
        directory_.remove(file);
        directory_.remove(RotatingFile::older(file));
    }
}

}  // namespace banyan
