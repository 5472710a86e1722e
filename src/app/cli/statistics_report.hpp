// StatisticsReport: while a VM runs, says once a second how: to `banyan stats`, and on standard
// error under `--trace jit`.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "app/cli/published_vm.hpp"
#include "host/linux/ticker.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

class StatisticsReport {
public:
    // `trace`: on standard error, too. Fails when another VM has this one's name, or others have
    // reserved what this one is to have. What the VM may use of its host is looked after at the
    // same pace: `resources` outlives it.
    static Result<std::unique_ptr<StatisticsReport>> start(Poller& poller, const VmApi& vm,
                                                           ResourceService& resources, bool trace);
    StatisticsReport(const StatisticsReport&) = delete;
    StatisticsReport& operator=(const StatisticsReport&) = delete;

    // The VM's run is over: the table, if it is wanted.
    void finish() const;

private:
    using Clock = std::chrono::steady_clock;

    StatisticsReport(const VmApi& vm, ResourceService& resources, bool trace)
        : vm_(vm), resources_(resources), trace_(trace) {}
    Result<void> open();
    void publish();
    void tick();

    const VmApi& vm_;
    ResourceService& resources_;
    const bool trace_;
    const Clock::time_point started_ = Clock::now();
    Clock::time_point last_ = started_;
    Statistics before_;                       // of the last line
    std::unique_ptr<PublishedVm> published_;  // null: there is no place
    std::unique_ptr<Ticker> ticker_;
};

}  // namespace banyan
