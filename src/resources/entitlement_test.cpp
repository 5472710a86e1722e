#include "resources/entitlement.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace banyan {
namespace {

using Amounts = std::vector<uint64_t>;

ResourceNode pool(size_t parent, ResourceTerms terms = {}) {
    return {parent, terms, 0};
}

ResourceNode member(size_t parent, uint64_t shares, uint64_t demand, uint64_t reservation = 0,
                    uint64_t limit = kUnlimited) {
    return {parent, {shares, reservation, limit}, demand};
}

TEST(Entitlements, SharesDivideWhatTheHungryWant) {
    const std::vector<ResourceNode> tree{pool(0), member(0, 2000, 1000), member(0, 1000, 1000)};
    EXPECT_EQ(entitlements(900, tree), (Amounts{900, 600, 300}));
}

TEST(Entitlements, WhatOneDoesNotWantGoesToTheOthers) {
    const std::vector<ResourceNode> tree{pool(0), member(0, 2000, 100), member(0, 1000, 1000),
                                         member(0, 1000, 1000)};
    EXPECT_EQ(entitlements(900, tree), (Amounts{900, 100, 400, 400}));
}

TEST(Entitlements, EverybodyIsContentWhenThereIsEnough) {
    const std::vector<ResourceNode> tree{pool(0), member(0, 1, 300), member(0, 5, 200)};
    EXPECT_EQ(entitlements(900, tree), (Amounts{500, 300, 200}));
}

TEST(Entitlements, AReservationHoldsWhileOthersAreHungry) {
    const std::vector<ResourceNode> tree{pool(0), member(0, 1000, 1000, 500), member(0, 9000, 1000),
                                         member(0, 1000, 1000)};
    // 1000 without the 500 that are reserved are divided by 9:1.
    EXPECT_EQ(entitlements(1000, tree), (Amounts{1000, 500, 450, 50}));
}

TEST(Entitlements, AReservationThatIsNotWantedIsLent) {
    const std::vector<ResourceNode> tree{pool(0), member(0, 1000, 100, 500), member(0, 1000, 1000)};
    EXPECT_EQ(entitlements(1000, tree), (Amounts{1000, 100, 900}));
}

TEST(Entitlements, ALimitIsNeverPassed) {
    const std::vector<ResourceNode> tree{pool(0), member(0, 1000, 1000, 0, 250),
                                         member(0, 1000, 400)};
    EXPECT_EQ(entitlements(10'000, tree), (Amounts{650, 250, 400}));
}

// Shares count among siblings: what is in a pool competes within it, however many they are.
TEST(Entitlements, PoolsCompeteAsOne) {
    const std::vector<ResourceNode> tree{pool(0),
                                         pool(0, {3000}),
                                         pool(0, {1000}),
                                         member(1, 1000, 1000),
                                         member(2, 1000, 1000),
                                         member(2, 1000, 1000),
                                         member(2, 2000, 1000)};
    EXPECT_EQ(entitlements(800, tree), (Amounts{800, 600, 200, 600, 50, 50, 100}));
}

TEST(Entitlements, APoolsLimitBindsItsMembers) {
    const std::vector<ResourceNode> tree{pool(0), pool(0, {1000, 0, 300}), member(1, 2000, 1000),
                                         member(1, 1000, 1000), member(0, 1, 1000)};
    EXPECT_EQ(entitlements(1000, tree), (Amounts{1000, 300, 200, 100, 700}));
}

TEST(Entitlements, APoolsReservationIsItsMembersTogether) {
    const std::vector<ResourceNode> tree{pool(0), pool(0, {1, 600}), member(1, 1000, 1000),
                                         member(1, 1000, 1000), member(0, 1'000'000, 1000)};
    EXPECT_EQ(entitlements(1000, tree), (Amounts{1000, 600, 300, 300, 400}));
}

TEST(Entitlements, ReservationsThatDoNotFitAreReducedInProportion) {
    const std::vector<ResourceNode> tree{pool(0), member(0, 1, 1000, 600),
                                         member(0, 1000, 1000, 300), member(0, 1000, 1000)};
    EXPECT_EQ(entitlements(300, tree), (Amounts{300, 200, 100, 0}));
}

TEST(Entitlements, SharesThatBindSomeByFloorsAndSomeByCaps) {
    // A share is worth 10 to those who are free: 1 is lifted to its floor, 2 is cut at its cap.
    const std::vector<ResourceNode> tree{pool(0), member(0, 10, 1000, 300), member(0, 50, 200),
                                         member(0, 20, 1000), member(0, 30, 1000)};
    EXPECT_EQ(entitlements(1000, tree), (Amounts{1000, 300, 200, 200, 300}));
}

TEST(Entitlements, NobodyIsThere) {
    EXPECT_EQ(entitlements(1000, {}), Amounts{});
    const std::vector<ResourceNode> tree{pool(0), pool(0)};
    EXPECT_EQ(entitlements(1000, tree), (Amounts{0, 0}));
}

TEST(GenerousEntitlements, WhatNobodyWantsIsRoomToWakeUpIn) {
    const std::vector<ResourceNode> tree{pool(0), member(0, 1000, 100), member(0, 1000, 700)};
    const Amounts most{0, 1000, 1000};
    EXPECT_EQ(generous_entitlements(1200, tree, most), (Amounts{1200, 500, 700}));
    EXPECT_EQ(generous_entitlements(800, tree, most), (Amounts{800, 100, 700}));
    EXPECT_EQ(generous_entitlements(5000, tree, most), (Amounts{2000, 1000, 1000}));
}

TEST(Reserved, APoolTakesFromItsParentWhatItsMembersHaveMore) {
    const std::vector<ResourceNode> tree{pool(0), pool(0, {1000, 300}), member(1, 1, 0, 200),
                                         member(1, 1, 0, 250), member(0, 1, 0, 100)};
    EXPECT_EQ(reserved(tree), (Amounts{550, 450, 200, 250, 100}));
    EXPECT_FALSE(find_overcommitment(550, tree));
    const auto found = find_overcommitment(549, tree);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->node, 0U);
    EXPECT_EQ(found->reserved, 550U);
    EXPECT_EQ(found->available, 549U);
}

TEST(Reserved, APoolsLimitBoundsWhatIsReservedInIt) {
    const std::vector<ResourceNode> tree{pool(0), pool(0, {1000, 0, 300}), member(1, 1, 0, 301)};
    const auto found = find_overcommitment(10'000, tree);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->node, 1U);
    EXPECT_EQ(found->available, 300U);
}

constexpr int kTreesASeed = 100;

// Trees of which nothing is known but that they are trees. The seeds are fixed.
class RandomTree : public testing::TestWithParam<uint32_t> {
protected:
    RandomTree() : random_(GetParam()) {}

    void make_tree() {
        tree_ = {pool(0)};
        for (size_t pools = below(6); pools > 0; --pools)
            tree_.push_back(pool(below(tree_.size()), terms()));
        pools_ = tree_.size();
        for (size_t vms = 1 + below(12); vms > 0; --vms)
            tree_.push_back({below(pools_), terms(), below(2) == 0 ? below(2'000'000) : 2'000'000});
        capacity_ = below(3) == 0 ? below(1000) : below(8'000'000);
    }

    size_t below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }
    ResourceTerms terms() {
        ResourceTerms one{1 + below(5000), 0, kUnlimited};
        if (below(3) == 0) one.reservation = below(500'000);
        if (below(3) == 0) one.limit = one.reservation + below(1'000'000);
        return one;
    }

    // What the VMs below can have together by their demands and all limits.
    uint64_t cap_of(size_t node) const {
        uint64_t cap = tree_[node].demand;
        for (size_t i = 1; i < tree_.size(); ++i) {
            if (i != node && tree_[i].parent == node) cap += cap_of(i);
        }
        return std::min(cap, tree_[node].terms.limit);
    }
    uint64_t floor_of(size_t node) const {
        uint64_t floor = 0;
        for (size_t i = 1; i < tree_.size(); ++i) {
            if (i != node && tree_[i].parent == node) floor += floor_of(i);
        }
        return std::min(std::max(floor, tree_[node].terms.reservation), cap_of(node));
    }
    // As admission would have it.
    void make_reservations_fit() {
        for (size_t i = pools_; i-- > 0;) {
            uint64_t sum = 0;
            for (const size_t child : members(i))
                sum += floor_of(child);
            tree_[i].terms.limit = std::max(tree_[i].terms.limit, sum);
        }
        capacity_ = std::max(capacity_, floor_of(0));
    }
    Amounts members(size_t of) const {
        Amounts found;
        for (size_t i = 1; i < tree_.size(); ++i) {
            if (tree_[i].parent == of) found.push_back(i);
        }
        return found;
    }

    std::mt19937 random_;
    std::vector<ResourceNode> tree_;
    size_t pools_ = 0;
    uint64_t capacity_ = 0;
};

TEST_P(RandomTree, NoMoreThanThereIsAndNothingWithheld) {
    for (int number = 0; number < kTreesASeed; ++number) {
        make_tree();
        const Amounts given = entitlements(capacity_, tree_);
        EXPECT_EQ(given[0], std::min(capacity_, cap_of(0)));
        for (size_t i = 0; i < pools_; ++i) {
            uint64_t sum = 0;
            for (const size_t child : members(i))
                sum += given[child];
            EXPECT_EQ(sum, given[i]) << i;
        }
    }
}

TEST_P(RandomTree, LimitsAndDemandsAreNeverPassed) {
    for (int number = 0; number < kTreesASeed; ++number) {
        make_tree();
        const Amounts given = entitlements(capacity_, tree_);
        for (size_t i = 0; i < tree_.size(); ++i)
            EXPECT_LE(given[i], cap_of(i)) << i;
    }
}

TEST_P(RandomTree, ReservationsHoldWhereTheyFit) {
    for (int number = 0; number < kTreesASeed; ++number) {
        make_tree();
        make_reservations_fit();
        const Amounts given = entitlements(capacity_, tree_);
        for (size_t i = 0; i < tree_.size(); ++i)
            EXPECT_GE(given[i], floor_of(i)) << i;
    }
}

// The units of rounding are what a member may have more or less.
TEST_P(RandomTree, TheHungryHaveInProportionToTheirShares) {
    for (int number = 0; number < kTreesASeed; ++number) {
        make_tree();
        make_reservations_fit();
        const Amounts given = entitlements(capacity_, tree_);
        for (size_t pool = 0; pool < pools_; ++pool) {
            const Amounts all = members(pool);
            for (const size_t a : all) {
                for (const size_t b : all) {
                    // Who could have more and has more than its floor has no fewer units a share.
                    const bool a_hungry = given[a] + all.size() < cap_of(a);
                    const bool b_above_floor = given[b] > floor_of(b) + all.size();
                    if (!a_hungry || !b_above_floor) continue;
                    const double a_rate = static_cast<double>(given[a] + all.size() + 1) /
                                          static_cast<double>(tree_[a].terms.shares);
                    const double b_rate =
                        (static_cast<double>(given[b]) - static_cast<double>(all.size() + 1)) /
                        static_cast<double>(tree_[b].terms.shares);
                    EXPECT_GE(a_rate, b_rate) << a << " and " << b;
                }
            }
        }
    }
}

TEST_P(RandomTree, MoreForAllIsLessForNobody) {
    for (int number = 0; number < kTreesASeed; ++number) {
        make_tree();
        const Amounts before = entitlements(capacity_, tree_);
        const Amounts after = entitlements(capacity_ + 1 + below(1'000'000), tree_);
        for (size_t i = 0; i < tree_.size(); ++i)
            EXPECT_GE(after[i] + tree_.size() * tree_.size(), before[i]) << i;
    }
}

TEST_P(RandomTree, MoreSharesAreNotLess) {
    for (int number = 0; number < kTreesASeed; ++number) {
        make_tree();
        const size_t lucky = pools_ + below(tree_.size() - pools_);
        const Amounts before = entitlements(capacity_, tree_);
        tree_[lucky].terms.shares *= 2;
        const Amounts after = entitlements(capacity_, tree_);
        EXPECT_GE(after[lucky] + tree_.size() * tree_.size(), before[lucky]);
    }
}

TEST_P(RandomTree, GenerosityTakesFromNobody) {
    for (int number = 0; number < kTreesASeed; ++number) {
        make_tree();
        Amounts most(tree_.size(), 0);
        for (size_t i = pools_; i < tree_.size(); ++i)
            most[i] = 2'000'000;
        const Amounts demanded = entitlements(capacity_, tree_);
        const Amounts given = generous_entitlements(capacity_, tree_, most);
        EXPECT_LE(given[0], capacity_);
        for (size_t i = 0; i < tree_.size(); ++i) {
            EXPECT_GE(given[i], demanded[i]) << i;
            EXPECT_LE(given[i], tree_[i].terms.limit) << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomTree, testing::Range(1U, 5U));

}  // namespace
}  // namespace banyan
