// A compromised VM: code of an attacker's on each kind of thread, after the sandbox has closed.
// Each attempt is also made without a sandbox, where it must succeed: so that one that could never
// succeed shows nothing.
#include "host/sandbox/sandbox.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <functional>
#include <future>
#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "host/posix/threads.hpp"
#include "host/posix/unix_address.hpp"

namespace banyan {
namespace {

// What became of an attempt; 0: it did not return.
constexpr char kSucceeded = 1;
constexpr char kRefused = 2;

constexpr size_t kPage = 4096;

// What an attacker would like to reach: files, sockets and processes of the same user.
struct Victims {
    std::string directory;
    std::string secret;         // a file
    std::string other_control;  // another VM's control socket
    uint16_t tcp_port = 0;      // a server on this host
    pid_t process = -1;
    const int* in_memory = nullptr;  // in the process, as here
};

struct Attempt {
    const char* name;
    std::function<bool(const Victims&)> succeeds;
};

bool opens(const std::string& path, int flags) {
    const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    return fd.valid();
}

bool opens_by_openat2(const std::string& path) {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC;
    const UniqueFd fd(
        static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof(how))));
    return fd.valid();
}

bool connects(const sockaddr* address, socklen_t size, int type = SOCK_STREAM) {
    const UniqueFd fd(::socket(address->sa_family, type | SOCK_CLOEXEC, 0));
    return fd.valid() && ::connect(fd.get(), address, size) == 0;
}

bool connects_to_path(const std::string& path) {
    const UnixAddress address(path);
    return connects(address.get(), UnixAddress::size());
}

sockaddr_in on_this_host(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

bool connects_by(uint16_t port, int type) {
    const sockaddr_in address = on_this_host(port);
    return connects(reinterpret_cast<const sockaddr*>(&address), sizeof(address), type);
}

// A pair of datagram sockets may be sent elsewhere.
bool connects_from_a_pair(const std::string& path) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return false;
    const UniqueFd one(ends[0]);
    const UniqueFd two(ends[1]);
    const UnixAddress address(path);
    return ::connect(one.get(), address.get(), UnixAddress::size()) == 0 || errno == EPROTOTYPE;
}

bool listens() {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = on_this_host(0);
    return fd.valid() &&
           ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
           ::listen(fd.get(), 1) == 0;
}

bool has_socket(int family, int type) {
    const UniqueFd fd(::socket(family, type | SOCK_CLOEXEC, 0));
    return fd.valid();
}

bool reads_memory_of(const Victims& victims) {
    int value = 0;
    iovec here{&value, sizeof(value)};
    iovec there{const_cast<int*>(victims.in_memory), sizeof(value)};
    return ::process_vm_readv(victims.process, &here, 1, &there, 1, 0) == sizeof(value);
}

bool traces(pid_t process) {
    return ::ptrace(PTRACE_SEIZE, process, nullptr, nullptr) == 0;
}

// Signal 0 asks only whether it may.
bool signals_by_owner(pid_t process) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    const UniqueFd from(ends[0]);
    const UniqueFd to(ends[1]);
    return ::fcntl(from.get(), F_SETOWN, process) == 0;
}

void* map(int protection, int flags, int fd = -1) {
    return ::mmap(nullptr, kPage, protection, flags, fd, 0);
}

bool maps_executable() {
    return map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS) != MAP_FAILED;
}

bool makes_executable() {
    void* const page = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    return page != MAP_FAILED && ::mprotect(page, kPage, PROT_READ | PROT_EXEC) == 0;
}

bool makes_executable_by_key() {
    void* const page = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    return page != MAP_FAILED &&
           ::syscall(SYS_pkey_mprotect, page, kPage, PROT_READ | PROT_EXEC, -1) == 0;
}

bool maps_library() {
    const UniqueFd fd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    return fd.valid() && map(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd.get()) != MAP_FAILED;
}

bool has_memory_file() {
    const UniqueFd fd(::memfd_create("code", MFD_CLOEXEC));
    return fd.valid();
}

bool executes() {
    ::execl("/bin/true", "true", nullptr);
    return false;
}

bool forks() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    return child > 0 && ::waitpid(child, nullptr, 0) == child;
}

bool has_ring() {
    io_uring_params parameters{};
    const UniqueFd fd(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &parameters)));
    return fd.valid();
}

bool changes_mode(const std::string& path) {
    return ::fchmodat(AT_FDCWD, path.c_str(), 0644, 0) == 0;
}

std::string process_file(pid_t process, const char* name) {
    return fmt::format("/proc/{}/{}", process, name);
}

// What no kind of thread gets done.
const std::vector<Attempt>& attempts_of_all() {
    static const std::vector<Attempt> all{
        {"read a file", [](const Victims& v) { return opens(v.secret, O_RDONLY); }},
        {"write a file", [](const Victims& v) { return opens(v.secret, O_WRONLY); }},
        {"name a file by openat2", [](const Victims& v) { return opens_by_openat2(v.secret); }},
        {"make a file",
         [](const Victims& v) { return opens(v.directory + "/new", O_WRONLY | O_CREAT); }},
        {"list a directory",
         [](const Victims& v) { return opens(v.directory, O_RDONLY | O_DIRECTORY); }},
        {"cut a file", [](const Victims& v) { return ::truncate(v.secret.c_str(), 1) == 0; }},
        {"remove a file",
         [](const Victims& v) { return ::unlinkat(AT_FDCWD, v.secret.c_str(), 0) == 0; }},
        {"move a file",
         [](const Victims& v) {
             return ::renameat(AT_FDCWD, v.secret.c_str(), AT_FDCWD,
                               (v.directory + "/moved").c_str()) == 0;
         }},
        {"make a directory",
         [](const Victims& v) {
             return ::mkdirat(AT_FDCWD, (v.directory + "/made").c_str(), 0700) == 0;
         }},
        {"call another VM", [](const Victims& v) { return connects_to_path(v.other_control); }},
        {"call another VM from a pair",
         [](const Victims& v) { return connects_from_a_pair(v.other_control); }},
        {"listen at a port", [](const Victims&) { return listens(); }},
        {"talk to the kernel", [](const Victims&) { return has_socket(AF_NETLINK, SOCK_RAW); }},
        {"trace a process", [](const Victims& v) { return traces(v.process); }},
        {"read a process' memory", [](const Victims& v) { return reads_memory_of(v); }},
        {"open a process' memory",
         [](const Victims& v) { return opens(process_file(v.process, "mem"), O_RDWR); }},
        {"read a process' environment",
         [](const Victims& v) { return opens(process_file(v.process, "environ"), O_RDONLY); }},
        {"signal a process", [](const Victims& v) { return ::kill(v.process, 0) == 0; }},
        {"signal a thread",
         [](const Victims& v) { return ::syscall(SYS_tgkill, v.process, v.process, 0) == 0; }},
        {"signal by a handle",
         [](const Victims& v) { return ::syscall(SYS_pidfd_open, v.process, 0) >= 0; }},
        {"own the signals of a pipe", [](const Victims& v) { return signals_by_owner(v.process); }},
        {"map executable memory", [](const Victims&) { return maps_executable(); }},
        {"make memory executable", [](const Victims&) { return makes_executable(); }},
        {"make it so by a key", [](const Victims&) { return makes_executable_by_key(); }},
        {"map a program", [](const Victims&) { return maps_library(); }},
        {"have a file in memory", [](const Victims&) { return has_memory_file(); }},
        {"read memory as code",
         [](const Victims&) { return ::syscall(SYS_personality, 0x0400000) >= 0; }},
        {"execute a program", [](const Victims&) { return executes(); }},
        {"start a process", [](const Victims&) { return forks(); }},
        {"open an io_uring", [](const Victims&) { return has_ring(); }},
        {"raise a limit",
         [](const Victims&) {
             const rlimit limit{64, 64};
             return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
         }},
        {"change its root", [](const Victims& v) { return ::chdir(v.directory.c_str()) == 0; }},
    };
    return all;
}

// What a NAT's thread does for its guest.
const std::vector<Attempt>& attempts_of_nat() {
    static const std::vector<Attempt> all{
        {"connect to a port",
         [](const Victims& v) { return connects_by(v.tcp_port, SOCK_STREAM); }},
        {"send a datagram", [](const Victims& v) { return connects_by(v.tcp_port, SOCK_DGRAM); }},
    };
    return all;
}

// What the thread of a share does below its directory, and the kernel allows elsewhere: see
// docs/security.md.
const std::vector<Attempt>& attempts_of_shares() {
    static const std::vector<Attempt> all{
        {"change a file's mode", [](const Victims& v) { return changes_mode(v.secret); }},
    };
    return all;
}

// Disks and timers have threads before the sandbox closes; others come later.
enum class Begun { before, after };

struct Attacker {
    ThreadKind kind = ThreadKind::device;
    SandboxMode mode = SandboxMode::on;
    SandboxNeeds needs = {};
    Begun begun = Begun::after;
};

class CompromisedVm : public testing::Test {
protected:
    void SetUp() override {
        std::string place = testing::TempDir() + "banyan-victims-XXXXXX";
        ASSERT_NE(::mkdtemp(place.data()), nullptr);
        victims_.directory = place;
        victims_.secret = place + "/secret";
        victims_.other_control = place + "/1.qmp";
        write_secret();
        listen_at_path();
        listen_at_port();
        start_victim();
    }

    void TearDown() override {
        if (victims_.process > 0) {
            ::kill(victims_.process, SIGKILL);
            ::waitpid(victims_.process, nullptr, 0);
        }
        remove_files();
    }

    // What an attacker gets done, in a process that has become what a VM's is.
    std::vector<std::string> successes(const std::vector<Attempt>& attempts,
                                       const Attacker& attacker) {
        write_secret();
        auto* const marks = static_cast<char*>(
            ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        const pid_t child = ::fork();
        if (child == 0) attack(attempts, marks, attacker);
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0) << "killed, or without a sandbox";
        std::vector<std::string> found;
        for (size_t i = 0; i < attempts.size(); ++i) {
            if (marks[i] != kRefused) found.emplace_back(attempts[i].name);
        }
        ::munmap(marks, kPage);
        ::rmdir((victims_.directory + "/made").c_str());
        for (const char* name : {"/new", "/moved"})
            ::unlink((victims_.directory + name).c_str());
        return found;
    }

    const Victims& victims() const { return victims_; }

private:
    // A program that is executed instead leaves its mark as it is.
    [[noreturn]] void attack(const std::vector<Attempt>& attempts, char* marks,
                             const Attacker& attacker) {
        std::promise<void> closed;
        std::future<void> is_closed = closed.get_future();
        const auto begin = [&] {
            return start_thread(attacker.kind, "attacker", [&] {
                is_closed.wait();
                for (size_t i = 0; i < attempts.size(); ++i)
                    marks[i] = attempts[i].succeeds(victims_) ? kSucceeded : kRefused;
            });
        };
        std::thread thread;
        if (attacker.begun == Begun::before) thread = begin();
        if (!enter_sandbox(attacker.mode, attacker.needs)) ::_exit(1);
        if (attacker.begun == Begun::after) thread = begin();
        closed.set_value();
        thread.join();
        ::_exit(0);
    }

    void write_secret() const { std::ofstream(victims_.secret) << "secret"; }

    void listen_at_path() {
        control_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const UnixAddress address(victims_.other_control);
        ASSERT_EQ(::bind(control_.get(), address.get(), UnixAddress::size()), 0);
        ASSERT_EQ(::listen(control_.get(), 64), 0);
    }

    void listen_at_port() {
        server_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address = on_this_host(0);
        auto* const any = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof(address);
        ASSERT_EQ(::bind(server_.get(), any, size), 0);
        ASSERT_EQ(::listen(server_.get(), 64), 0);
        ASSERT_EQ(::getsockname(server_.get(), any, &size), 0);
        victims_.tcp_port = ntohs(address.sin_port);
    }

    void start_victim() {
        static const int kInMemory = 1;
        victims_.in_memory = &kInMemory;
        victims_.process = ::fork();
        if (victims_.process == 0) {
            ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
            for (;;)
                ::pause();
        }
        ASSERT_GT(victims_.process, 0);
    }

    void remove_files() const {
        ::unlink(victims_.secret.c_str());
        ::unlink(victims_.other_control.c_str());
        ::rmdir(victims_.directory.c_str());
    }

    Victims victims_;
    UniqueFd control_;
    UniqueFd server_;
};

SandboxNeeds needs_nat() {
    SandboxNeeds needs;
    needs.nat = true;
    return needs;
}

constexpr std::array kAllKinds{ThreadKind::loop, ThreadKind::device, ThreadKind::disk,
                               ThreadKind::share, ThreadKind::nat};

const char* name_of(ThreadKind kind) {
    constexpr std::array kNames{"Loop", "Device", "Disk", "Share", "Nat"};
    return kNames.at(static_cast<size_t>(kind));
}

class CompromisedThread : public CompromisedVm, public testing::WithParamInterface<ThreadKind> {};

const std::vector<std::string> kNone;

std::vector<std::string> names_of(const std::vector<Attempt>& attempts) {
    std::vector<std::string> names;
    for (const Attempt& attempt : attempts)
        names.emplace_back(attempt.name);
    return names;
}

TEST_F(CompromisedVm, WithoutASandboxAllSucceeds) {
    for (const auto* attempts : {&attempts_of_all(), &attempts_of_nat(), &attempts_of_shares()}) {
        for (const Attempt& attempt : *attempts) {
            EXPECT_EQ(successes({attempt}, {.mode = SandboxMode::off}),
                      std::vector<std::string>{attempt.name});
        }
    }
}

TEST_P(CompromisedThread, GetsNothingDone) {
    SandboxNeeds most = needs_nat();
    most.shares = true;
    for (const Begun begun : {Begun::before, Begun::after})
        EXPECT_EQ(successes(attempts_of_all(), {.kind = GetParam(), .needs = most, .begun = begun}),
                  kNone);
}

TEST_P(CompromisedThread, HasNoNetworkButForANat) {
    const auto of_nat = GetParam() == ThreadKind::nat ? names_of(attempts_of_nat()) : kNone;
    EXPECT_EQ(successes(attempts_of_nat(), {.kind = GetParam(), .needs = needs_nat()}), of_nat);
    EXPECT_EQ(successes(attempts_of_nat(), {.kind = GetParam()}), kNone);
}

TEST_P(CompromisedThread, WithoutASharedDirectoryChangesNoFile) {
    EXPECT_EQ(successes(attempts_of_shares(), {.kind = GetParam()}), kNone);
}

// Reported, and not refused.
TEST_F(CompromisedVm, IsNotHinderedWhereOnlyTheLogIsWanted) {
    const std::vector<Attempt> some{attempts_of_all().front()};
    EXPECT_EQ(successes(some, {.mode = SandboxMode::log}), names_of(some));
}

// What the loop's thread may do is written down as files that it needs.
TEST_F(CompromisedVm, ReachesTheFilesThatItsConfigurationNames) {
    const std::vector<Attempt> some{attempts_of_all().front()};
    SandboxNeeds needs;
    needs.files.push_back({victims().directory, landlock::Access::read});
    EXPECT_EQ(successes(some, {.kind = ThreadKind::loop, .needs = needs}), names_of(some));
}

INSTANTIATE_TEST_SUITE_P(Kinds, CompromisedThread, testing::ValuesIn(kAllKinds),
                         [](const auto& kind) { return name_of(kind.param); });

}  // namespace
}  // namespace banyan
