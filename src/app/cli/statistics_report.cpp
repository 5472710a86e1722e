#include "app/cli/statistics_report.hpp"

#include <fmt/format.h>

#include "app/cli/statistics_text.hpp"
#include "host/linux/stderr_log.hpp"

namespace banyan {

namespace {

constexpr std::chrono::seconds kPeriod{1};

double seconds_between(std::chrono::steady_clock::time_point from,
                       std::chrono::steady_clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

void say_unpublished(const Error& error) {
    print_message(fmt::format("warning: banyan stats will not show this VM: {}", error.text()));
}

}  // namespace

Result<std::unique_ptr<StatisticsReport>> StatisticsReport::start(Poller& poller, const VmApi& vm,
                                                                  const std::string& name,
                                                                  bool trace) {
    auto report = std::unique_ptr<StatisticsReport>(new StatisticsReport(vm, trace));
    report->open(name);
    auto ticker = Ticker::create(poller, kPeriod, [raw = report.get()] { raw->tick(); });
    if (!ticker) return tl::unexpected(ticker.error());
    report->ticker_ = std::move(*ticker);
    return report;
}

// A guest is worth more than its figures: without a place for them it runs all the same.
void StatisticsReport::open(const std::string& name) {
    auto directory = RunDirectory::open();
    if (!directory) return say_unpublished(directory.error());
    published_.emplace(std::move(*directory), name);
    publish();
}

void StatisticsReport::publish() {
    if (!published_) return;
    const auto done = published_->publish(vm_, seconds_between(started_, Clock::now()));
    if (done) return;
    say_unpublished(done.error());
    published_.reset();
}

void StatisticsReport::tick() {
    publish();
    if (!trace_) return;
    const auto now = Clock::now();
    Statistics after = sum_of(vm_.statistics());
    print_message("trace: jit: " + statistics_line(before_, after, seconds_between(last_, now)));
    before_ = std::move(after);
    last_ = now;
}

void StatisticsReport::finish() const {
    if (!trace_) return;
    for (const std::string& line : statistics_table(sum_of(vm_.statistics())))
        print_message("trace: jit: " + line);
}

}  // namespace banyan
