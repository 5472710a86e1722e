#include "cpu/kvm/kvm_kick.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <poll.h>
#include <thread>

namespace banyan::kvm {
namespace {

int g_signals = 0;
void count_signal(int) {
    ++g_signals;
}

class KvmKickTest : public testing::Test {
protected:
    void SetUp() override { g_signals = 0; }

    kvm_run run{};
    KvmKick kick{run, count_signal};
};

TEST_F(KvmKickTest, AKickBeforeTheEntryMakesItReturnAtOnce) {
    kick.kick();

    EXPECT_EQ(run.immediate_exit, 1);
    EXPECT_EQ(g_signals, 0);
    EXPECT_TRUE(kick.take());
    EXPECT_FALSE(kick.take());
}

TEST_F(KvmKickTest, AVcpuInsideIsSignalledToo) {
    kick.enter();
    kick.kick();
    EXPECT_EQ(g_signals, 1);
    EXPECT_EQ(run.immediate_exit, 1);

    kick.leave();
    kick.kick();
    EXPECT_EQ(g_signals, 1);
}

TEST_F(KvmKickTest, APokeIsNoKick) {
    kick.poke();

    EXPECT_EQ(run.immediate_exit, 1);
    EXPECT_FALSE(kick.take());
    kick.rearm();
    EXPECT_EQ(run.immediate_exit, 0);
}

// What KVM_RUN does with the byte and with signals: from its look at the byte on, a signal that
// comes is not lost but ends it.
void stand_for_kvm_run(kvm_run& run) {
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    if (std::atomic_ref(run.immediate_exit).load() == 0) ::ppoll(nullptr, 0, nullptr, &before);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// However the two meet, each kick has to bring the thread back.
TEST(KvmKick, NoneIsLost) {
    constexpr int kKicks = 5000;
    kvm_run run{};
    KvmKick kick(run);
    std::atomic<int> taken{0};
    std::thread vcpu([&] {
        kick.adopt_thread();
        while (taken < kKicks) {
            kick.enter();
            stand_for_kvm_run(run);
            kick.leave();
            kick.rearm();
            if (kick.take()) ++taken;
        }
    });
    for (int i = 0; i < kKicks; ++i) {
        kick.kick();
        while (taken <= i)
            std::this_thread::yield();
    }
    vcpu.join();
    EXPECT_EQ(taken, kKicks);
}

}  // namespace
}  // namespace banyan::kvm
