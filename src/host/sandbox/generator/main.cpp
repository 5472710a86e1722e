// Writes the seccomp filters of Banyan's threads as arrays, so that no VM needs libseccomp.
//
//   seccomp_filters OUTPUT
//
// One list of system calls a kind of thread (host/posix/threads.hpp). What is in none is refused
// with EPERM, and 32-bit system calls end the process (seccomp(2), "Caveats").
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include <vector>

namespace {

// Stands for the number of the process, which only that knows; host/sandbox/seccomp.cpp puts it in.
constexpr uint32_t kOwnPid = 0x5A4E504F;

struct Rule {
    std::string call;
    std::vector<scmp_arg_cmp> when = {};  // all of them; empty: always
    uint32_t action = SCMP_ACT_ALLOW;
};
using Rules = std::vector<Rule>;

scmp_arg_cmp is(unsigned argument, uint32_t value) {
    return SCMP_CMP32(argument, SCMP_CMP_EQ, value, 0U);
}

// The bits of `mask` are those of `value`.
scmp_arg_cmp has(unsigned argument, uint64_t mask, uint64_t value) {
    return SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, mask, value);
}

void allow(Rules& rules, std::initializer_list<const char*> calls) {
    for (const char* call : calls)
        rules.push_back({call});
}

void allow(Rules& rules, const char* call, unsigned argument,
           std::initializer_list<uint64_t> values) {
    for (const uint64_t value : values)
        rules.push_back({call, {is(argument, static_cast<uint32_t>(value))}});
}

// ioctl(2) of KVM, of a terminal that is the console, of a tap and of sockets; neither TIOCSTI nor
// TIOCLINUX, which type at whoever started the VM, nor what names an owner for signals.
void add_ioctls(Rules& rules) {
    constexpr uint64_t kKvm = 0xAE00;  // KVMIO, linux/kvm.h
    rules.push_back({"ioctl", {has(1, 0xFFFFFF00 & 0xFF00, kKvm)}});
    allow(rules, "ioctl", 1,
          {TCGETS, TCSETS, TCSETSW, TCSETSF, TCFLSH, TIOCGWINSZ, TIOCOUTQ, TIOCGPGRP, FIONREAD,
           FIONBIO, TUNSETOFFLOAD, TUNSETVNETHDRSZ});
}

// No new executable memory, and no memory that is executable because it is readable.
void add_memory(Rules& rules) {
    rules.push_back({"mmap", {has(2, PROT_EXEC, 0)}});
    rules.push_back({"mprotect", {has(2, PROT_EXEC, 0)}});
    allow(rules, {"munmap", "mremap", "madvise", "brk", "msync", "mincore"});
}

// Owners of signals (F_SETOWN, F_SETSIG) are left out: they reach other processes.
void add_descriptors(Rules& rules) {
    allow(rules, {"read", "write", "readv", "writev", "close", "lseek", "fstat", "newfstatat",
                  "statx", "poll", "ppoll"});
    allow(rules, "fcntl", 1,
          {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_OFD_GETLK, F_OFD_SETLK,
           F_DUPFD_CLOEXEC, F_GET_SEALS});
}

// Signals go to this process only.
void add_process(Rules& rules) {
    allow(rules, {"futex",
                  "futex_waitv",
                  "exit",
                  "exit_group",
                  "rt_sigreturn",
                  "rt_sigprocmask",
                  "rt_sigaction",
                  "rt_sigpending",
                  "rt_sigtimedwait",
                  "sigaltstack",
                  "restart_syscall",
                  "set_robust_list",
                  "rseq",
                  "membarrier",
                  "getpid",
                  "gettid",
                  "getppid",
                  "getpgrp",
                  "getuid",
                  "geteuid",
                  "getgid",
                  "getegid",
                  "sched_yield",
                  "sched_getaffinity",
                  "getcpu",
                  "getrandom",
                  "getrusage",
                  "uname",
                  "sysinfo",
                  "clock_gettime",
                  "clock_getres",
                  "clock_nanosleep",
                  "nanosleep",
                  "gettimeofday",
                  "time",
                  "times"});
    rules.push_back({"tgkill", {is(0, kOwnPid)}});
    rules.push_back({"kill", {is(0, kOwnPid)}});
    rules.push_back({"prlimit64", {is(0, 0), has(2, ~uint64_t{0}, 0)}});
    allow(rules, "prctl", 0,
          {PR_SET_NAME, PR_SET_TIMERSLACK, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP,
           PR_GET_DUMPABLE, 0x53564D41 /* PR_SET_VMA: names memory */});
    // For even less.
    allow(rules, "seccomp", 0, {SECCOMP_SET_MODE_FILTER});
    allow(rules, {"landlock_restrict_self", "capget", "capset"});
}

// Devices run on all threads: whoever holds a device does the work that others left for it. Sockets
// are those that somebody else made or accepted.
Rules for_devices() {
    Rules rules;
    add_ioctls(rules);
    add_process(rules);
    add_descriptors(rules);
    add_memory(rules);
    allow(rules, {"recvfrom", "sendto", "recvmsg", "sendmsg", "shutdown", "epoll_ctl", "epoll_wait",
                  "epoll_pwait", "timerfd_settime", "eventfd2", "fdatasync", "ftruncate"});
    return rules;
}

// The requests of a ring go past these filters: backends/block/disk_ring.cpp restricts the ring.
Rules for_disks() {
    Rules rules = for_devices();
    allow(rules, {"pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "fsync",
                  "fallocate", "sync_file_range", "copy_file_range", "io_uring_enter", "fstatfs"});
    return rules;
}

// By Landlock below the shared directories only.
Rules for_shares() {
    Rules rules = for_disks();
    allow(rules,
          {"openat",       "openat2",   "mkdirat",     "mknodat",    "unlinkat",  "renameat",
           "renameat2",    "linkat",    "symlinkat",   "readlinkat", "fchmod",    "fchmodat",
           "fchown",       "fchownat",  "utimensat",   "getdents64", "statfs",    "getxattr",
           "setxattr",     "listxattr", "removexattr", "fgetxattr",  "fsetxattr", "flistxattr",
           "fremovexattr", "flock",     "faccessat",   "faccessat2", "umask",     "syncfs",
           "setfsuid",     "setfsgid"});
    rules.push_back({"unshare", {has(0, ~uint64_t{0}, CLONE_FS)}});
    return rules;
}

// The one kind that makes sockets: of the Internet. They never listen: what is published does so
// from the start.
Rules for_nat() {
    Rules rules = for_devices();
    for (const uint32_t family : {uint32_t{AF_INET}, uint32_t{AF_INET6}})
        rules.push_back({"socket", {is(0, family)}});
    allow(rules, {"connect", "accept", "accept4", "getsockname", "getpeername", "getsockopt",
                  "setsockopt", "select", "pselect6", "sendmmsg", "recvmmsg", "openat"});
    return rules;
}

// The loop writes figures and logs, and takes in who comes to the VM's own sockets.
Rules for_loop() {
    Rules rules = for_disks();
    allow(rules, {"accept4",   "getsockname",    "getsockopt",    "setsockopt", "openat",
                  "unlink",    "unlinkat",       "rename",        "renameat",   "renameat2",
                  "fchmod",    "umask",          "alarm",         "setitimer",  "wait4",
                  "signalfd4", "timerfd_create", "epoll_create1", "pipe2",      "dup",
                  "dup2",      "dup3",           "lstat",         "stat",       "getdents64",
                  "statfs"});
    return rules;
}

void append(Rules& to, const Rules& rules) {
    to.insert(to.end(), rules.begin(), rules.end());
}

// A thread and nothing else: no process, no namespace. The C library falls back to clone(2), whose
// flags can be looked at, where there is no clone3(2).
void add_threads(Rules& rules) {
    constexpr uint64_t kThread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                     CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
    rules.push_back({"clone", {has(0, kThread | kNamespaces, kThread)}});
    rules.push_back({"clone3", {}, SCMP_ACT_ERRNO(ENOSYS)});
}

// Not of the VM: connects it to sockets, and removes files in the end.
Rules for_broker() {
    Rules rules;
    rules.push_back({"socket", {is(0, AF_UNIX)}});
    allow(rules, {"connect", "recvfrom", "sendmsg", "close", "unlink", "newfstatat", "exit_group",
                  "rt_sigreturn", "restart_syscall", "futex", "brk", "munmap"});
    rules.push_back({"mmap", {has(2, PROT_EXEC, 0)}});
    return rules;
}

// What any thread of the process may do: threads share their memory, so that this is what bounds
// an attacker. What only shares or a NAT need is left out where there are none.
Rules for_process(bool shares, bool nat) {
    Rules rules = for_loop();
    if (shares) append(rules, for_shares());
    if (nat) append(rules, for_nat());
    add_threads(rules);
    return rules;
}

[[noreturn]] void give_up(const std::string& what, int error) {
    std::fprintf(stderr, "seccomp_filters: %s: error %d\n", what.c_str(), error);
    std::exit(1);
}

void add(scmp_filter_ctx filter, const Rule& rule) {
    const int call = ::seccomp_syscall_resolve_name(rule.call.c_str());
    if (call < 0) give_up("no system call " + rule.call, call);
    const int added = ::seccomp_rule_add_array(
        filter, rule.action, call, static_cast<unsigned>(rule.when.size()), rule.when.data());
    if (added != 0 && added != -EEXIST) give_up("add " + rule.call, added);
}

std::vector<sock_filter> compile(const Rules& rules) {
    scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == nullptr) give_up("make a filter", 0);
    ::seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree: as long for each call
    for (const Rule& rule : rules)
        add(filter, rule);
    std::FILE* file = std::tmpfile();
    if (file == nullptr) give_up("make a file", errno);
    if (const int result = ::seccomp_export_bpf(filter, ::fileno(file)); result != 0)
        give_up("write a filter", result);
    ::seccomp_release(filter);
    std::rewind(file);
    std::vector<sock_filter> program;
    for (sock_filter one{}; std::fread(&one, sizeof(one), 1, file) == 1;)
        program.push_back(one);
    std::fclose(file);
    return program;
}

void write_array(std::FILE* out, const char* name, const Rules& rules) {
    const std::vector<sock_filter> program = compile(rules);
    std::fprintf(out, "constexpr sock_filter %s[] = {\n", name);
    for (const sock_filter& one : program)
        std::fprintf(out, "    {0x%x, %u, %u, 0x%x},\n", one.code, one.jt, one.jf, one.k);
    std::fprintf(out, "};\n");
}

}  // namespace

int main(int argc, char** argv) {
    std::FILE* out = argc == 2 ? std::fopen(argv[1], "w") : nullptr;
    if (out == nullptr) give_up("give the name of a file to write", errno);
    std::fprintf(out, "constexpr uint32_t kOwnPid = 0x%x;\n", kOwnPid);
    write_array(out, "kForProcess", for_process(false, false));
    write_array(out, "kForProcessWithShares", for_process(true, false));
    write_array(out, "kForProcessWithNat", for_process(false, true));
    write_array(out, "kForProcessWithBoth", for_process(true, true));
    write_array(out, "kForLoop", for_loop());
    write_array(out, "kForDevices", for_devices());
    write_array(out, "kForDisks", for_disks());
    write_array(out, "kForShares", for_shares());
    write_array(out, "kForNat", for_nat());
    write_array(out, "kForBroker", for_broker());
    return std::fclose(out) == 0 ? 0 : 1;
}
