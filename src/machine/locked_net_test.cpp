#include "machine/locked_net.hpp"

#include <gtest/gtest.h>
#include <thread>

#include "vm/testing/fake_network.hpp"

namespace banyan {
namespace {

const std::vector<std::string> kThreeFrames{"one", "two", "three"};

class Card final : public NetClient {
public:
    size_t on_frames(std::span<const NetFrame> frames) override {
        EXPECT_FALSE(inside_call) << "never from within a call of the device's";
        received += frames.size();
        return std::min(frames.size(), room);
    }
    void on_send_room() override {
        EXPECT_FALSE(inside_call);
        ++send_rooms;
    }
    void on_link_changed(bool up) override { link = up; }

    bool inside_call = false;
    size_t room = 100;
    size_t received = 0;
    unsigned send_rooms = 0;
    bool link = true;
};

class LockedNetTest : public testing::Test {
protected:
    void SetUp() override {
        SlotLock lock(slot_);
        ASSERT_TRUE(locked_.start(card_));
    }

    FakeNetwork network_;
    DeviceSlot slot_;
    LockedNetBackend locked_{network_, slot_};
    Card card_;
};

TEST_F(LockedNetTest, DeliversUnderTheLock) {
    EXPECT_EQ(network_.deliver(kThreeFrames), 3U);
    card_.room = 2;
    EXPECT_EQ(network_.deliver(kThreeFrames), 2U);
    EXPECT_EQ(card_.received, 6U);
}

TEST_F(LockedNetTest, TheHolderOfTheLockTakesWhatComesMeanwhile) {
    size_t taken = 0;
    std::thread backend;
    {
        SlotLock lock(slot_);
        card_.inside_call = true;
        backend = std::thread([&] { taken = network_.deliver(kThreeFrames); });
        network_.client()->on_send_room();
        network_.up = false;
        network_.client()->on_link_changed(false);
        EXPECT_EQ(card_.send_rooms, 0U);
        card_.inside_call = false;
    }
    backend.join();
    EXPECT_EQ(taken, 3U);
    EXPECT_EQ(card_.received, 3U);
    EXPECT_EQ(card_.send_rooms, 1U);
    EXPECT_FALSE(card_.link);
}

TEST_F(LockedNetTest, AGuestThatStandsStillTakesNothing) {
    locked_.hold(true);
    EXPECT_EQ(network_.deliver(kThreeFrames), 0U);
    EXPECT_EQ(card_.received, 0U);
    locked_.hold(false);
    EXPECT_EQ(network_.room_calls, 1U) << "it may try again";
    EXPECT_EQ(network_.deliver(kThreeFrames), 3U);
}

// The device stops its network with its lock held, for which the network's thread may wait.
TEST(LockedNet, StoppingDoesNotWaitForWhoWaitsForTheLock) {
    struct Threaded final : NetBackend {
        Result<void> start(NetClient& client) override {
            thread = std::thread([this, &client] {
                const std::string frame = "frame";
                const auto part = std::as_bytes(std::span(frame));
                const NetFrame offered{std::span(&part, 1), part.size(), {}};
                while (!stopping)
                    taken += client.on_frames(std::span(&offered, 1));
            });
            return {};
        }
        void stop() override {
            stopping = true;
            thread.join();
            stopping = false;
        }
        size_t send(std::span<const NetFrame> frames) override { return frames.size(); }
        void receive_room_available() override {}

        std::thread thread;
        std::atomic<bool> stopping{false};
        size_t taken = 0;
    };
    Threaded network;
    DeviceSlot slot;
    LockedNetBackend locked(network, slot);
    Card card;
    for (int round = 0; round < 200; ++round) {
        SlotLock lock(slot);
        ASSERT_TRUE(locked.start(card));
        if (round % 2 == 0) std::this_thread::yield();
        locked.stop();
    }
    EXPECT_EQ(card.received, network.taken) << "none is taken twice, none is lost";
}

}  // namespace
}  // namespace banyan
