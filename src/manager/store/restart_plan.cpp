#include "manager/store/restart_plan.hpp"

#include <algorithm>

namespace banyan {

namespace {

constexpr int kEndedOnPurpose = 4;  // by a signal or its control socket (docs/cli.md)

}  // namespace

bool wants_restart(const StoredVm& vm) {
    if (vm.process || !vm.wanted || !vm.last) return false;
    switch (vm.definition.restart) {
        case RestartPolicy::no: return false;
        case RestartPolicy::always: return true;
        case RestartPolicy::on_failure: break;
    }
    return vm.last->status != 0 && vm.last->status != kEndedOnPurpose;
}

RestartPlan::Duration RestartPlan::wait_after(int failures) {
    constexpr int kMostDoublings = 10;
    return std::min(kShortestWait * (1 << std::min(failures, kMostDoublings)), kLongestWait);
}

bool RestartPlan::is_due(const StoredVm& vm, Time now) {
    Entry& entry = entries_[vm.id];
    if (!wants_restart(vm)) {
        entry.due.reset();
        return false;
    }
    if (entry.starts != vm.starts || !entry.due) {
        const bool ran_well = vm.last->when - vm.started >= kGoodRunSeconds;
        const bool is_first = entry.starts == 0;
        entry.failures = ran_well || is_first ? 0 : entry.failures + 1;
        entry.starts = vm.starts;
        entry.due = now + wait_after(entry.failures);
    }
    if (now < *entry.due) return false;
    // So that one that cannot even be tried is not tried without a pause.
    entry.due = now + wait_after(entry.failures + 1);
    return true;
}

std::vector<std::string> RestartPlan::due(const std::vector<StoredVm>& all, Time now) {
    std::vector<std::string> names;
    for (const StoredVm& vm : all) {
        const bool by_itself = !began_ && vm.definition.autostart && !vm.process;
        if (by_itself || is_due(vm, now)) names.push_back(vm.definition.name);
    }
    began_ = true;
    std::erase_if(entries_, [&](const auto& entry) {
        return std::ranges::none_of(all, [&](const StoredVm& vm) { return vm.id == entry.first; });
    });
    return names;
}

std::optional<RestartPlan::Time> RestartPlan::next() const {
    std::optional<Time> earliest;
    for (const auto& [id, entry] : entries_) {
        if (entry.due && (!earliest || *entry.due < *earliest)) earliest = entry.due;
    }
    return earliest;
}

}  // namespace banyan
