// banyan-switch NETWORK
//
// Started by `banyan network create` and whoever joins a network that does not run. Says "ready" on
// standard output when members can join, or why they cannot; leaves its starter's session, and ends
// when it is asked to (PortRequest::end) or by SIGTERM. Its messages go to standard error.
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/network/network_store.hpp"
#include "app/switch/switch_server.hpp"
#include "host/linux/event_loop.hpp"
#include "host/linux/signals.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {
namespace {

constexpr useconds_t kLockPeriodUs = 20'000;
constexpr int kLockTries = 150;  // 3 s: one that ends needs a moment

// One process carries the network, and the lock goes with it, however it ends.
Result<UniqueFd> lock_network(const std::string& path) {
    UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    for (int i = 0; lock.valid() && i < kLockTries; ++i) {
        if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
        ::usleep(kLockPeriodUs);
    }
    if (!lock.valid()) return host_fail(errno, "lock " + quote_name(path), "free space there");
    return fail(ErrorCode::busy, "the network runs already");
}

// The starter waits for the parent only.
void leave_starter() {
    if (::fork() > 0) ::_exit(0);
    ::setsid();
    if (::chdir("/") != 0) print_message("stays in its directory");
}

// A member takes four descriptors, and there may be 256.
void raise_file_limit() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

Result<void> serve(const std::string& name) {
    TRY_ASSIGN(store, NetworkStore::open());
    TRY_ASSIGN(definition, store.read(name));
    TRY_ASSIGN(directory, RunDirectory::open());
    TRY_ASSIGN(lock, lock_network(network_paths(directory, name).lock));
    TRY_ASSIGN(loop, EventLoop::create());
    TRY_ASSIGN(signals, SignalWatch::create(*loop, {SIGTERM, SIGINT}, [&](int) { loop->stop(); }));
    TRY_ASSIGN(server, SwitchServer::create(*loop, std::move(definition), std::move(directory),
                                            [&] { loop->stop(); }));
    std::printf("ready\n");
    std::fclose(stdout);
    loop->run();
    return {};
}

}  // namespace
}  // namespace banyan

int main(int argc, char** argv) {
    using namespace banyan;
    if (argc != 2) {
        print_message("banyan-switch is started by banyan network start; call that");
        return 2;
    }
    install_stderr_log();
    ignore_write_signals();
    leave_starter();
    hold_signals({SIGTERM, SIGINT});
    raise_file_limit();
    const auto served = serve(argv[1]);
    if (served) return 0;
    print_message(served.error().text());
    std::printf("%s\n", std::string(served.error().text()).c_str());
    return 1;
}
