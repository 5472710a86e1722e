#include "app/screen/key_feeder.hpp"

namespace banyan {

namespace {

// As long a key is at least down: guests that look at their keyboard now and then see it.
constexpr std::chrono::milliseconds kStrokePeriod{10};
constexpr std::chrono::milliseconds kNever{0};

}  // namespace

Result<std::unique_ptr<KeyFeeder>> KeyFeeder::create(Poller& poller, InputSink& input) {
    auto feeder = std::unique_ptr<KeyFeeder>(new KeyFeeder(input));
    TRY_ASSIGN(ticker, Ticker::create(poller, kNever, [raw = feeder.get()] { raw->feed(); }));
    feeder->ticker_ = std::move(ticker);
    return feeder;
}

bool KeyFeeder::add(KeyStroke stroke) {
    if (waiting_.size() >= kMostWaiting) return false;
    if (waiting_.empty()) ticker_->set_period(kStrokePeriod);
    waiting_.push_back(stroke);
    return true;
}

void KeyFeeder::feed() {
    if (!waiting_.empty() && input_.ready_for_key()) {
        input_.key(waiting_.front().key, waiting_.front().pressed);
        waiting_.pop_front();
    }
    if (waiting_.empty()) ticker_->set_period(kNever);
}

}  // namespace banyan
