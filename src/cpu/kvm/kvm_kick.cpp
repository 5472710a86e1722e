#include "cpu/kvm/kvm_kick.hpp"

#include <csignal>
#include <sys/syscall.h>
#include <unistd.h>

namespace banyan::kvm {

namespace {

// The first that glibc leaves to programs.
int kick_signal() {
    return SIGRTMIN;
}

void do_nothing(int) {}

// Without SA_RESTART: what the signal interrupts has to return.
bool install_handler() {
    struct sigaction action {};
    action.sa_handler = do_nothing;
    return ::sigaction(kick_signal(), &action, nullptr) == 0;
}

}  // namespace

// By tgkill and not pthread_kill: a thread that has ended meanwhile is no error.
void KvmKick::send_signal(int thread) {
    ::syscall(SYS_tgkill, ::getpid(), thread, kick_signal());
}

void KvmKick::kick() {
    kicked_.store(true, std::memory_order_seq_cst);
    poke();
}

void KvmKick::poke() {
    immediate_exit().store(1, std::memory_order_seq_cst);
    if (inside_.load(std::memory_order_seq_cst)) signal_(thread_.load(std::memory_order_relaxed));
}

void KvmKick::adopt_thread() {
    [[maybe_unused]] static const bool installed = install_handler();
    thread_.store(static_cast<int>(::syscall(SYS_gettid)), std::memory_order_relaxed);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, kick_signal());
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void KvmKick::rearm() {
    immediate_exit().store(0, std::memory_order_seq_cst);
}

}  // namespace banyan::kvm
