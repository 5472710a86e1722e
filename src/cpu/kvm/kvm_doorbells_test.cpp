#include "cpu/kvm/kvm_doorbells.hpp"

#include <gtest/gtest.h>
#include <map>
#include <unistd.h>
#include <vector>

#include "cpu/kvm/kvm_testing.hpp"

namespace banyan::kvm {
namespace {

// Holds who watches what; a test says when something is ready.
class HeldPoller final : public Poller {
public:
    Result<void> watch(int handle, Readiness, PollClient& client) override {
        clients[handle] = &client;
        return {};
    }
    void set_interest(int, Readiness) override {}
    void unwatch(int handle) override { clients.erase(handle); }

    std::map<int, PollClient*> clients;
};

class RecordingClient final : public DoorbellClient {
public:
    void on_doorbell(unsigned cookie) override { rung.push_back(cookie); }
    std::vector<unsigned> rung;
};

class KvmDoorbellsTest : public testing::Test {
protected:
    void SetUp() override {
        vm.on<kvm_ioeventfd>(KVM_IOEVENTFD, [this](const kvm_ioeventfd& asked) {
            if (refuse) return -ENOSPC;
            told.push_back(asked);
            return 0;
        });
    }
    std::unique_ptr<Doorbell> create(unsigned cookie) {
        return std::move(*doorbells.create(client, cookie));
    }
    static void ring(int handle) {
        const uint64_t one = 1;
        ASSERT_EQ(::write(handle, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
    }

    FakeHandle vm;
    HeldPoller poller;
    RecordingClient client;
    KvmDoorbells doorbells{vm, poller};
    std::vector<kvm_ioeventfd> told;
    bool refuse = false;
};

TEST_F(KvmDoorbellsTest, APlaceIsToldAndTakenBack) {
    const auto bell = create(3);
    EXPECT_TRUE(told.empty());

    EXPECT_TRUE(bell->place({0xE000'3004}));
    bell->remove();
    bell->remove();

    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told[0].addr, 0xE000'3004U);
    EXPECT_EQ(told[0].len, 0U) << "writes of every width";
    EXPECT_EQ(told[0].flags, 0U);
    EXPECT_EQ(told[1].flags, uint32_t{KVM_IOEVENTFD_FLAG_DEASSIGN});
    EXPECT_EQ(told[1].addr, told[0].addr);
    EXPECT_EQ(told[1].fd, told[0].fd);
}

TEST_F(KvmDoorbellsTest, WhatIsPlacedAgainOrDestroyedLeavesItsOldPlace) {
    auto bell = create(0);
    bell->place({0x1000});
    bell->place({0x2000});
    bell.reset();

    ASSERT_EQ(told.size(), 4U);
    EXPECT_EQ(told[1].addr, 0x1000U);
    EXPECT_EQ(told[1].flags, uint32_t{KVM_IOEVENTFD_FLAG_DEASSIGN});
    EXPECT_EQ(told[3].addr, 0x2000U);
    EXPECT_EQ(told[3].flags, uint32_t{KVM_IOEVENTFD_FLAG_DEASSIGN});
    EXPECT_TRUE(poller.clients.empty());
}

TEST_F(KvmDoorbellsTest, AKernelThatRefusesIsReportedAndNotAskedToTakeItBack) {
    const auto bell = create(0);
    refuse = true;
    EXPECT_FALSE(bell->place({0x1000}));
    refuse = false;
    bell->remove();
    EXPECT_TRUE(told.empty());
}

TEST_F(KvmDoorbellsTest, TheKernelsSignalReachesTheClientOnce) {
    const auto bell = create(7);
    bell->place({0x1000});
    ring(told[0].fd);
    ring(told[0].fd);

    poller.clients.at(told[0].fd)->on_ready({.readable = true});

    EXPECT_EQ(client.rung, std::vector<unsigned>{7});
}

TEST_F(KvmDoorbellsTest, WhatWaitsIsDeliveredAndNothingElse) {
    const auto first = create(1);
    const auto second = create(2);
    first->place({0x1000});
    second->place({0x1004});
    ring(told[1].fd);

    doorbells.deliver();
    doorbells.deliver();

    EXPECT_EQ(client.rung, std::vector<unsigned>{2});
}

TEST(KvmDoorbells, NeedBothOfTheKernelsMeans) {
    FakeHandle system;
    EXPECT_FALSE(KvmDoorbells::offered(system));
    int refused = KVM_CAP_IOEVENTFD_ANY_LENGTH;
    system.answers[KVM_CHECK_EXTENSION] = [&](uint64_t number) {
        return static_cast<int>(number) == refused ? 0 : 1;
    };
    EXPECT_FALSE(KvmDoorbells::offered(system));
    refused = 0;
    EXPECT_TRUE(KvmDoorbells::offered(system));
}

}  // namespace
}  // namespace banyan::kvm
