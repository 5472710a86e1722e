#include "host/sandbox/socket_broker.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"
#include "host/posix/unix_connector.hpp"
#include "host/sandbox/seccomp.hpp"

namespace banyan {

namespace {

constexpr int kTypes = SOCK_STREAM | SOCK_SEQPACKET | SOCK_NONBLOCK;
constexpr std::string_view kRemedy = "end some processes, or use --sandbox off";

constexpr int kRememberFiles = -1;  // in the place of a type

struct Request {
    int type = 0;
    std::array<char, UnixAddress::kLongestPath + 1> path{};
};

// The VM's end, and who speaks there.
std::mutex g_mutex;
UniqueFd g_broker;  // NOLINT: of the process, as the sandbox is

union RightsBuffer {
    cmsghdr align;
    std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

// `error` is 0 when a socket comes along.
void answer(int to, int error, const UniqueFd& socket) {
    iovec part{&error, sizeof(error)};
    RightsBuffer rights{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (socket.valid()) {
        message.msg_control = rights.bytes.data();
        message.msg_controllen = rights.bytes.size();
        cmsghdr* const head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        const int fd = socket.get();
        std::memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    }
    retry_interrupted([&] { return ::sendmsg(to, &message, MSG_NOSIGNAL); });
}

UniqueFd take_answer(int from) {
    int error = EPIPE;
    iovec part{&error, sizeof(error)};
    RightsBuffer rights{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = rights.bytes.data();
    message.msg_controllen = rights.bytes.size();
    const ssize_t size =
        retry_interrupted([&] { return ::recvmsg(from, &message, MSG_CMSG_CLOEXEC); });
    const cmsghdr* const head = size > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    int fd = -1;
    if (head != nullptr && head->cmsg_type == SCM_RIGHTS)
        std::memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    errno = error;
    return UniqueFd(fd);
}

// In the VM.
UniqueFd ask(const Request& request) {
    const std::lock_guard lock(g_mutex);
    const ssize_t sent = retry_interrupted(
        [&] { return ::send(g_broker.get(), &request, sizeof(request), MSG_NOSIGNAL); });
    return sent == static_cast<ssize_t>(sizeof(request)) ? take_answer(g_broker.get()) : UniqueFd();
}

UniqueFd ask_to_connect(const std::string& path, int type) {
    Request request;
    errno = ENAMETOOLONG;
    if (path.size() >= request.path.size()) return {};
    request.type = type & kTypes;
    std::copy(path.begin(), path.end(), request.path.begin());
    return ask(request);
}

struct OwnFile {
    const char* path;
    struct stat status;
};

std::vector<OwnFile> find_files(const BrokerTargets& targets) {
    std::vector<OwnFile> found;
    for (const std::string& path : targets.removed) {
        OwnFile file{path.c_str(), {}};
        if (::lstat(file.path, &file.status) == 0) found.push_back(file);
    }
    return found;
}

// Another VM's may stand there by now.
void remove(const OwnFile& file) {
    struct stat now {};
    const bool same = ::lstat(file.path, &now) == 0 && now.st_dev == file.status.st_dev &&
                      now.st_ino == file.status.st_ino;
    if (same) ::unlink(file.path);
}

// In the broker. Never waits: who is slow to take connections refuses them. Returns the files that
// are to be removed.
std::vector<OwnFile> serve(int vm, const BrokerTargets& targets) {
    std::vector<OwnFile> files;
    Request request;
    while (retry_interrupted([&] { return ::recv(vm, &request, sizeof(request), 0); }) ==
           static_cast<ssize_t>(sizeof(request))) {
        if (request.type == kRememberFiles) {
            if (files.empty()) files = find_files(targets);
            answer(vm, 0, UniqueFd());
            continue;
        }
        const std::string path(request.path.data(),
                               ::strnlen(request.path.data(), request.path.size() - 1));
        UniqueFd socket;
        errno = EACCES;
        if (may_connect(targets, path))
            socket = connect_unix_directly(path, (request.type & kTypes) | SOCK_NONBLOCK);
        answer(vm, socket.valid() ? 0 : errno, socket);
    }
    return files;
}

// What it has of the VM, the ends of others' pipes too, would stay open as long as it lives.
int keep_only(int vm) {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    const int kept = ::fcntl(vm, F_DUPFD_CLOEXEC, 3);
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream)
        ::dup2(null, stream);
    const int own = ::dup3(kept, 3, O_CLOEXEC) >= 0 ? 3 : kept;
    ::close_range(static_cast<unsigned>(own) + 1, ~0U, 0);
    return own;
}

[[noreturn]] void be_broker(int vm, const BrokerTargets& targets) {
    // Who ends the VM ends this by that.
    for (const int number : {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP})
        std::signal(number, SIG_IGN);
    ::prctl(PR_SET_NAME, "banyan-broker", 0, 0, 0);
    const int own = keep_only(vm);
    const bool confined = ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
                          ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                          (!seccomp::available() || seccomp::enter_as_broker() == 0);
    if (!confined) ::_exit(1);
    for (const OwnFile& file : serve(own, targets))
        remove(file);
    ::_exit(0);
}

}  // namespace

bool may_connect(const BrokerTargets& targets, const std::string& path) {
    const auto is_numbered = [&](const std::string& prefix) {
        return path.size() > prefix.size() && path.starts_with(prefix) &&
               path.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
    };
    return std::ranges::find(targets.sockets, path) != targets.sockets.end() ||
           std::ranges::any_of(targets.prefixes, is_numbered);
}

Result<std::unique_ptr<SocketBroker>> SocketBroker::start(const BrokerTargets& targets) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return host_fail(errno, "sandbox: make a socket", "raise the limit of open files");
    UniqueFd vm(ends[0]);
    const UniqueFd broker(ends[1]);
    const pid_t process = ::fork();
    if (process < 0) return host_fail(errno, "sandbox: start a process", kRemedy);
    if (process == 0) be_broker(broker.get(), targets);
    g_broker = std::move(vm);
    set_unix_connector(ask_to_connect);
    return std::unique_ptr<SocketBroker>(new SocketBroker(process));
}

void SocketBroker::remember_files() const {
    Request request;
    request.type = kRememberFiles;
    (void)ask(request);
}

SocketBroker::~SocketBroker() {
    {
        const std::lock_guard lock(g_mutex);
        g_broker.reset();
    }
    retry_interrupted([&] { return ::waitpid(process_, nullptr, 0); });
}

}  // namespace banyan
