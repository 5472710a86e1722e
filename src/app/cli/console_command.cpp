#include "app/cli/console_command.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cli/cli.hpp"
#include "app/cli/stored_vms.hpp"
#include "host/linux/signals.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/linux/terminal.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/rotating_file.hpp"
#include "host/posix/unix_address.hpp"
#include "host/posix/write_all.hpp"
#include "manager/running_vms.hpp"

namespace banyan {

namespace {

constexpr char kLeaveKey = 0x1D;  // Ctrl-]

Result<UniqueFd> connect_console(const RunDirectory& directory, const RunningVm& vm) {
    const std::string path = fmt::format("{}/{}", directory.path(), vm_file(pid_of(vm), kConsole));
    const UnixAddress address(path);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (address.valid() && socket.valid() &&
        ::connect(socket.get(), address.get(), address.size()) == 0)
        return socket;
    return fail(ErrorCode::not_found,
                fmt::format("console {}: it does not run in the background, its console is where "
                            "it was started; see banyan show",
                            quote_name(vm["name"].get<std::string>())));
}

enum class Flow : uint8_t { goes_on, ended };

// Copies what there is. Up to the leave key, if there is one.
Flow copy_some(int from, int to, bool leaves) {
    std::array<char, 4096> buffer{};
    const ssize_t count =
        retry_interrupted([&] { return ::read(from, buffer.data(), buffer.size()); });
    if (count <= 0) return Flow::ended;
    const auto end = buffer.begin() + count;
    const auto leave = leaves ? std::find(buffer.begin(), end, kLeaveKey) : end;
    const auto bytes = std::as_bytes(std::span(buffer.begin(), leave));
    return write_all(to, bytes) && leave == end ? Flow::goes_on : Flow::ended;
}

// True: the VM has ended.
bool talk(int socket, bool at_terminal) {
    std::array<pollfd, 2> waited{{{STDIN_FILENO, POLLIN, 0}, {socket, POLLIN, 0}}};
    for (;;) {
        if (retry_interrupted([&] { return ::poll(waited.data(), waited.size(), -1); }) < 0)
            return false;
        if (waited[1].revents != 0 && copy_some(socket, STDOUT_FILENO, false) == Flow::ended)
            return true;
        if (waited[0].revents != 0 && copy_some(STDIN_FILENO, socket, at_terminal) == Flow::ended) {
            if (at_terminal) return false;
            waited[0].fd = -1;  // a script's input has ended: what the guest says is still wanted
        }
    }
}

// One of the files of a log, from where it was left.
class LogFile {
public:
    explicit LogFile(std::string path) : path_(std::move(path)) {}

    // False: there is no such file.
    bool open() {
        fd_.reset(::open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        return fd_.valid();
    }
    void print_rest() const {
        while (copy_some(fd_.get(), STDOUT_FILENO, false) == Flow::goes_on) {
        }
    }
    // What is called so is another file now.
    bool was_rotated() const {
        struct stat own {};
        struct stat now {};
        return ::fstat(fd_.get(), &own) == 0 && ::stat(path_.c_str(), &now) == 0 &&
               own.st_ino != now.st_ino;
    }

private:
    const std::string path_;
    UniqueFd fd_;
};

void follow(const RunDirectory& directory, const RunningVm& vm, LogFile& log) {
    constexpr int kPauseMs = 100;
    bool runs = true;
    while (runs) {
        runs = still_runs(directory, vm);
        log.print_rest();
        if (log.was_rotated()) {
            log.open();
            continue;
        }
        ::poll(nullptr, 0, kPauseMs);
    }
}

int report_failure(const Error& error) {
    print_message(error.text());
    return kStatusFailed;
}

ConsoleEnd console_failed(const Error& error) {
    report_failure(error);
    return ConsoleEnd::failed;
}

// Where its logs are, and who writes them.
struct LogOwner {
    std::string console;
    std::string messages;
    std::optional<RunningVm> vm;  // nothing: nobody, it has ended
};

LogOwner kept_logs(const std::string& stored, std::optional<RunningVm> vm) {
    return {fmt::format("{}/{}", stored, kStoredConsoleLog),
            fmt::format("{}/{}", stored, kStoredMessages), std::move(vm)};
}

Result<LogOwner> find_logs(const RunDirectory& directory, const std::string& wanted) {
    auto vm = find_vm(directory, "logs", wanted);
    if (vm) {
        const std::string stored = stored_directory(*vm);
        if (!stored.empty()) return kept_logs(stored, std::move(*vm));
        const auto place = [&](std::string_view kind) {
            return fmt::format("{}/{}", directory.path(), vm_file(pid_of(*vm), kind));
        };
        return LogOwner{place(kConsoleLog), place(kMessages), *vm};
    }
    const auto kept = find_stored("logs", wanted);
    if (!kept) return tl::unexpected(vm.error());
    TRY_ASSIGN(store, VmStore::open());
    return kept_logs(store->directory_of(*kept), {});
}

}  // namespace

ConsoleEnd attach_console(const RunDirectory& directory, const std::string& wanted) {
    ignore_write_signals();
    const auto vm = find_vm(directory, "console", wanted);
    if (!vm) return console_failed(vm.error());
    const auto socket = connect_console(directory, *vm);
    if (!socket) return console_failed(socket.error());
    const bool at_terminal = ::isatty(STDIN_FILENO) != 0;
    std::unique_ptr<RawTerminal> terminal;
    if (at_terminal) {
        print_message("console: Ctrl-] leaves; the VM goes on");
        static constexpr SignalEnd kEnd{"banyan: console: a signal came; the VM goes on\n", 0};
        end_at_signals({SIGINT, SIGTERM, SIGQUIT, SIGHUP}, kEnd);
        auto entered = RawTerminal::enter(STDIN_FILENO);
        if (!entered) return console_failed(entered.error());
        terminal = std::move(*entered);
    }
    const bool ended = talk(socket->get(), at_terminal);
    terminal.reset();
    if (!ended) return ConsoleEnd::left;
    print_message("console: the VM has ended");
    return ConsoleEnd::vm_ended;
}

int print_log(const RunDirectory& directory, const std::string& wanted, const LogChoice& choice) {
    const auto logs = find_logs(directory, wanted);
    if (!logs) return report_failure(logs.error());
    const std::string& path = choice.messages ? logs->messages : logs->console;
    LogFile older(RotatingFile::older(path));
    LogFile newer(path);
    const bool rotated = older.open();
    if (!newer.open()) {
        print_message(
            fmt::format("logs {}: it has no log; a VM has one that runs in the "
                        "background (run --detach) without a --console of its own",
                        quote_name(wanted)));
        return kStatusFailed;
    }
    if (rotated) older.print_rest();
    newer.print_rest();
    if (choice.follow && logs->vm) follow(directory, *logs->vm, newer);
    return 0;
}

}  // namespace banyan
