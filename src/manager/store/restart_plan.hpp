// RestartPlan: which stored VMs banyan supervise starts, and when.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "manager/store/vm_store.hpp"

namespace banyan {

// A VM that ends again and again is started after 0.1 s, 0.2 s, ... up to a minute; one that has
// run for 10 s begins anew.
class RestartPlan {
public:
    using Time = std::chrono::steady_clock::time_point;
    using Duration = std::chrono::milliseconds;
    static constexpr Duration kShortestWait{100};
    static constexpr Duration kLongestWait{60'000};
    static constexpr int64_t kGoodRunSeconds = 10;

    // Those to start now, by their names. The first time these are also those that start by
    // themselves.
    std::vector<std::string> due(const std::vector<StoredVm>& all, Time now);
    // When one is due, of those that due() has seen. Nothing: none is.
    std::optional<Time> next() const;

private:
    struct Entry {
        int64_t starts = 0;  // when it was seen to have ended
        int failures = 0;    // runs that were short, in a row
        std::optional<Time> due;
    };
    bool is_due(const StoredVm& vm, Time now);
    static Duration wait_after(int failures);

    bool began_ = false;
    std::map<int64_t, Entry> entries_;  // by the VM's id
};

// By its policy, and how it ended: a VM that its user stopped stays so.
bool wants_restart(const StoredVm& vm);

}  // namespace banyan
