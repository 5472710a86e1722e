// CpuBudget: keeps what uses CPU time to a rate, by holding it for a few milliseconds at a time.
//
// A bucket fills with the rate and is emptied by what is used. Who has emptied it is held until it
// is half full; what was used beyond it is owed, so that the rate holds however coarsely one looks.
#pragma once

#include "resources/terms.hpp"

namespace banyan {

class CpuBudget {
public:
    // `now`, `used`: nanoseconds of any clock that goes on, and of CPU time that `cpus` threads
    // have used together so far. Rates: microseconds of CPU time a second, at least 1.
    CpuBudget(uint64_t rate, unsigned cpus, uint64_t now, uint64_t used);

    void set_rate(uint64_t rate) { rate_ = rate; }
    struct Decision {
        bool may_run = true;
        uint64_t look_again_in = 0;  // nanoseconds
    };
    Decision decide(uint64_t now, uint64_t used);

private:
    int64_t earned_in(uint64_t nanoseconds) const;
    uint64_t time_to_earn(int64_t nanoseconds) const;
    Decision run();
    Decision hold();

    uint64_t rate_;
    unsigned cpus_;
    uint64_t last_;
    uint64_t used_;
    int64_t balance_ = 0;  // nanoseconds of CPU time; below zero: owed
    bool runs_ = true;
    bool idles_ = false;
};

}  // namespace banyan
