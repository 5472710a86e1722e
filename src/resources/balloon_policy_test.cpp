#include "resources/balloon_policy.hpp"

#include <gtest/gtest.h>

#include "resources/terms.hpp"

namespace banyan {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// 512 MiB, of which it uses 64.
GuestMemorySituation idle_guest() {
    return {.size = 512 * kMiB,
            .entitlement = 512 * kMiB,
            .limit = kUnlimited,
            .target = 512 * kMiB,
            .actual = 512 * kMiB,
            .total = 500 * kMiB,
            .available = 436 * kMiB};
}

TEST(BalloonPolicy, DemandIsWhatIsUsedAndSomeRoom) {
    EXPECT_EQ(memory_demand_of(idle_guest()), (64 + 8 + 32) * kMiB);
}

TEST(BalloonPolicy, WhatIsInTheBalloonIsNotUsed) {
    GuestMemorySituation guest = idle_guest();
    guest.actual = 200 * kMiB;
    guest.available = 136 * kMiB;
    EXPECT_EQ(memory_demand_of(guest), (64 + 8 + 32) * kMiB);
}

TEST(BalloonPolicy, AGuestThatDoesNotTellNeedsAll) {
    GuestMemorySituation guest = idle_guest();
    guest.total.reset();
    guest.entitlement = 100 * kMiB;
    EXPECT_EQ(memory_demand_of(guest), 512 * kMiB);
    EXPECT_EQ(next_balloon_target(guest), 512 * kMiB);
}

TEST(BalloonPolicy, TakesInStepsThatTheGuestFollows) {
    GuestMemorySituation guest = idle_guest();
    guest.entitlement = 128 * kMiB;
    guest.target = next_balloon_target(guest);
    EXPECT_EQ(guest.target, 448 * kMiB);
    EXPECT_EQ(next_balloon_target(guest), 448 * kMiB) << "it has not followed";
    for (int second = 0; second < 10; ++second) {
        guest.actual = guest.target;
        *guest.available = guest.actual - 64 * kMiB;
        guest.target = next_balloon_target(guest);
    }
    EXPECT_EQ(guest.target, 128 * kMiB);
}

TEST(BalloonPolicy, GrantsAtOnce) {
    GuestMemorySituation guest = idle_guest();
    guest.target = guest.actual = 128 * kMiB;
    *guest.available = 64 * kMiB;
    EXPECT_EQ(next_balloon_target(guest), 512 * kMiB);
}

TEST(BalloonPolicy, DoesNotTakeWhatIsUsed) {
    GuestMemorySituation guest = idle_guest();
    guest.entitlement = 16 * kMiB;
    guest.target = guest.actual = 128 * kMiB;
    *guest.available = 64 * kMiB;
    EXPECT_EQ(next_balloon_target(guest), 80 * kMiB);
}

TEST(BalloonPolicy, ALimitIsHeldWhateverIsUsed) {
    GuestMemorySituation guest = idle_guest();
    guest.limit = 60 * kMiB;
    guest.target = guest.actual = 80 * kMiB;
    *guest.available = 16 * kMiB;
    EXPECT_EQ(next_balloon_target(guest), 60 * kMiB);
}

TEST(BalloonPolicy, DoesNothingForATrifle) {
    GuestMemorySituation guest = idle_guest();
    guest.entitlement = 509 * kMiB;
    EXPECT_EQ(next_balloon_target(guest), 512 * kMiB);
}

}  // namespace
}  // namespace banyan
