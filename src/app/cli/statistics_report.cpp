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
    print_message(
        fmt::format("warning: banyan list and stats will not show this VM: {}", error.text()));
}

}  // namespace

Result<std::unique_ptr<StatisticsReport>> StatisticsReport::start(Poller& poller, const VmApi& vm,
                                                                  ResourceService& resources,
                                                                  bool trace,
                                                                  const std::string& stored) {
    auto report = std::unique_ptr<StatisticsReport>(new StatisticsReport(vm, resources, trace));
    TRY(report->open(stored));
    TRY_ASSIGN(ticker, Ticker::create(poller, kPeriod, [raw = report.get()] { raw->tick(); }));
    report->ticker_ = std::move(ticker);
    resources.on_change([raw = report.get()] { raw->publish(); });
    return report;
}

// A guest is worth more than its figures: without a place for them it runs all the same.
Result<void> StatisticsReport::open(const std::string& stored) {
    const auto create = [&]() -> Result<std::unique_ptr<PublishedVm>> {
        TRY_ASSIGN(directory, RunDirectory::open());
        return PublishedVm::create(std::move(directory), vm_, resources_, stored);
    };
    auto published = create();
    if (published) {
        published_ = std::move(*published);
    } else if (published.error().code() == ErrorCode::busy) {
        return tl::unexpected(published.error());
    } else {
        say_unpublished(published.error());
    }
    return {};
}

void StatisticsReport::publish() {
    if (published_ == nullptr) return;
    const auto done = published_->publish(vm_, resources_, seconds_between(started_, Clock::now()));
    if (done) return;
    say_unpublished(done.error());
    published_.reset();
}

void StatisticsReport::tick() {
    resources_.measure();
    publish();
    resources_.apply(published_ != nullptr ? &published_->directory() : nullptr);
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
