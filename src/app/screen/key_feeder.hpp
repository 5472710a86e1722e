// KeyFeeder: types at a guest, no faster than it takes keys. All on the poller's thread.
#pragma once

#include <deque>
#include <memory>

#include "app/screen/key_names.hpp"
#include "host/linux/ticker.hpp"
#include "vm/input.hpp"

namespace banyan {

class KeyFeeder {
public:
    static constexpr size_t kMostWaiting = 4096;

    static Result<std::unique_ptr<KeyFeeder>> create(Poller& poller, InputSink& input);
    KeyFeeder(const KeyFeeder&) = delete;
    KeyFeeder& operator=(const KeyFeeder&) = delete;

    // False when too many wait already.
    bool add(KeyStroke stroke);

private:
    explicit KeyFeeder(InputSink& input) : input_(input) {}
    void feed();

    InputSink& input_;
    std::deque<KeyStroke> waiting_;
    std::unique_ptr<Ticker> ticker_;
};

}  // namespace banyan
