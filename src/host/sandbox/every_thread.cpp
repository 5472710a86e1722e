#include "host/sandbox/every_thread.hpp"

#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fmt/format.h>
#include <memory>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr std::chrono::seconds kLongestWait{10};
constexpr std::chrono::microseconds kPause{50};

std::atomic<void (*)()> g_action{nullptr};
std::atomic<size_t> g_done{0};
static_assert(std::atomic<size_t>::is_always_lock_free);

void on_signal(int) {
    const int saved = errno;
    g_action.load()();
    ++g_done;
    errno = saved;
}

Result<std::vector<int>> other_threads() {
    const std::unique_ptr<DIR, int (*)(DIR*)> list(::opendir("/proc/self/task"), ::closedir);
    if (list == nullptr)
        return host_fail(errno, "list the own threads", "mount /proc, or use --sandbox off");
    std::vector<int> threads;
    while (const dirent* entry = ::readdir(list.get())) {
        int thread = 0;
        const char* const end = entry->d_name + std::strlen(entry->d_name);
        const auto [after, error] = std::from_chars(entry->d_name, end, thread);
        if (error == std::errc{} && after == end && thread != ::gettid()) threads.push_back(thread);
    }
    return threads;
}

// A signal that is on its way to a thread is not sent to it twice, so this counts threads.
bool all_came(size_t threads) {
    const auto deadline = std::chrono::steady_clock::now() + kLongestWait;
    while (g_done.load() < threads) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(kPause);
    }
    return true;
}

}  // namespace

Result<void> on_every_other_thread(void (*action)()) {
    TRY_ASSIGN(threads, other_threads());
    g_action = action;
    g_done = 0;
    struct sigaction handler {};
    struct sigaction before {};
    handler.sa_handler = on_signal;
    handler.sa_flags = SA_RESTART;
    ::sigaction(SIGSYS, &handler, &before);
    size_t sent = 0;
    for (const int thread : threads)
        if (::syscall(SYS_tgkill, ::getpid(), thread, SIGSYS) == 0) ++sent;
    const bool came = all_came(sent);
    ::sigaction(SIGSYS, &before, nullptr);
    if (came) return {};
    return fail(ErrorCode::io, "a thread of the VM does not answer; please report it");
}

}  // namespace banyan
