#include "app/cli/detached.hpp"

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/cli/cli.hpp"
#include "app/cli/print.hpp"
#include "host/linux/signals.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/write_all.hpp"
#include "manager/running_vms.hpp"
#include "manager/store/vm_directory.hpp"

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

struct Pipe {
    UniqueFd from;
    UniqueFd to;
};

Result<Pipe> make_pipe(std::string_view command) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return host_fail(errno, command, "raise the limit of open files (ulimit -n)");
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// In the caller's process.
int wait_until_started(std::string_view command, pid_t vm, UniqueFd started) {
    const std::string name = read_all(started.get());
    if (!name.empty()) return print_output(name + "\n");
    int status = 0;
    retry_interrupted([&] { return ::waitpid(vm, &status, 0); });
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    print_message(
        fmt::format("{}: the VM's process was killed before the guest ran; see the host's log, it "
                    "may be out of memory",
                    command));
    return kStatusFailed;
}

void close_standard_streams() {
    const UniqueFd nowhere(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        ::dup2(nowhere.get(), stream);
}

}  // namespace

Result<Detached::Start> Detached::start(std::string_view command, const Orders& orders) {
    TRY_ASSIGN(directory, RunDirectory::open());
    TRY_ASSIGN(told, make_pipe(command));
    TRY_ASSIGN(started, make_pipe(command));
    ignore_write_signals();  // of a VM's process that has ended already
    std::fflush(nullptr);
    const pid_t vm = ::fork();
    if (vm < 0) return host_fail(errno, command, "end some processes");
    if (vm == 0) {
        told.to.reset();
        ::setsid();
        std::string all = read_all(told.from.get());
        if (all.empty()) ::_exit(kStatusFailed);  // the caller has said why, or was killed
        return Start{
            std::nullopt,
            std::unique_ptr<Detached>(new Detached(std::move(started.to), std::move(directory))),
            std::move(all)};
    }
    started.to.reset();
    told.from.reset();
    const auto all = orders(vm);
    if (all) write_all(told.to.get(), std::as_bytes(std::span(*all)));
    told.to.reset();
    if (all) return Start{wait_until_started(command, vm, std::move(started.from)), nullptr, {}};
    int status = 0;
    retry_interrupted([&] { return ::waitpid(vm, &status, 0); });
    return tl::unexpected(all.error());
}

std::string Detached::place(std::string_view kind) const {
    return fmt::format("{}/{}", directory_.path(), vm_file(::getpid(), kind));
}

Result<void> Detached::set_console(ConsoleChoice& console, const std::string& stored) {
    logs_are_kept_ = !stored.empty();
    const auto log = [&](std::string_view kind, std::string_view kept) {
        return logs_are_kept_ ? fmt::format("{}/{}", stored, kept) : place(kind);
    };
    if (console.kind == ConsoleKind::stdio) {
        console = {ConsoleKind::socket, place(kConsole), log(kConsoleLog, kStoredConsoleLog)};
    }
    TRY_ASSIGN(messages, RotatingFile::create(log(kMessages, kStoredMessages), kLargestMessages));
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
    if (logs_are_kept_) return;
    for (const std::string_view kind : {kConsoleLog, kMessages}) {
        const std::string file = vm_file(::getpid(), kind);
        directory_.remove(file);
        directory_.remove(RotatingFile::older(file));
    }
}

}  // namespace banyan
