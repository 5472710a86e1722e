#include "resources/cpu_budget.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace banyan {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMillisecond;

// A guest of `cpus` CPUs that burns when it may, in a time of its own. `late`: how much later than
// asked one looks.
struct Burner {
    uint64_t rate;
    unsigned cpus = 1;
    uint64_t late = 0;
    uint64_t now = 0;
    uint64_t used = 0;
    uint64_t longest_hold = 0;
    unsigned looks = 0;
    CpuBudget budget{rate, cpus, 0, 0};

    void run_for(uint64_t duration, bool burns = true) {
        uint64_t held_since = now;
        for (const uint64_t end = now + duration; now < end;) {
            const auto [may_run, in] = budget.decide(now, used);
            ++looks;
            const uint64_t step = in + late;
            if (may_run) {
                held_since = now + step;
                if (burns) used += step * cpus;
            }
            now += step;
            longest_hold = std::max(longest_hold, now - held_since);
        }
    }
};

TEST(CpuBudget, KeepsARate) {
    for (const unsigned percent : {1U, 5U, 25U, 50U, 75U, 90U, 99U}) {
        Burner burner{percent * uint64_t{10'000}};
        burner.run_for(10 * kSecond);
        EXPECT_NEAR(static_cast<double>(burner.used) / static_cast<double>(burner.now) * 100,
                    percent, 0.5);
    }
}

TEST(CpuBudget, KeepsItOnAHostThatIsLate) {
    Burner burner{250'000};
    burner.late = 7 * kMillisecond;
    burner.run_for(20 * kSecond);
    EXPECT_NEAR(static_cast<double>(burner.used) / static_cast<double>(burner.now), 0.25, 0.005);
}

TEST(CpuBudget, IsOfAllCpusTogether) {
    Burner burner{1'500'000, 4};
    burner.run_for(10 * kSecond);
    EXPECT_NEAR(static_cast<double>(burner.used) / static_cast<double>(burner.now), 1.5, 0.01);
}

TEST(CpuBudget, HoldsForMillisecondsOnly) {
    Burner burner{250'000};
    burner.run_for(10 * kSecond);
    EXPECT_LE(burner.longest_hold, 20 * kMillisecond);
}

TEST(CpuBudget, HoldsNobodyWhoKeepsWithinTheRate) {
    CpuBudget budget(500'000, 1, 0, 0);
    uint64_t used = 0;
    for (uint64_t now = 0; now < kSecond; now += 10 * kMillisecond) {
        EXPECT_TRUE(budget.decide(now, used).may_run) << now;
        used += 4 * kMillisecond;
    }
}

TEST(CpuBudget, LooksSeldomAtOneThatSleeps) {
    Burner burner{250'000};
    burner.run_for(10 * kSecond, false);
    EXPECT_LE(burner.looks, 210U);
}

TEST(CpuBudget, ANewRateHoldsFromNowOn) {
    Burner burner{250'000};
    burner.run_for(5 * kSecond);
    burner.budget.set_rate(500'000);
    const uint64_t before = burner.used;
    const uint64_t from = burner.now;
    burner.run_for(5 * kSecond);
    EXPECT_NEAR(static_cast<double>(burner.used - before) / static_cast<double>(burner.now - from),
                0.5, 0.01);
}

TEST(CpuBudget, AHostThatSleptIsForgiven) {
    CpuBudget budget(100'000, 1, 0, 0);
    budget.decide(100 * kSecond, 100 * kSecond);
    uint64_t now = 100 * kSecond;
    while (!budget.decide(now, 100 * kSecond).may_run)
        now += kMillisecond;
    EXPECT_LE(now, 102 * kSecond);
}

}  // namespace
}  // namespace banyan
