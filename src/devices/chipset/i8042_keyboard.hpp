// AtKeyboard: an AT keyboard (IBM PC AT technical reference, section 4 "Keyboard") that answers
// commands; nobody types on it.
#pragma once

#include <cstdint>

#include "support/fixed_queue.hpp"

namespace banyan {

class AtKeyboard {
public:
    static constexpr size_t kQueueLength = 16;

    struct State {
        uint8_t command = 0;  // that waits for its parameter; 0: none
        uint8_t scan_code_set = 2;
        uint8_t last_sent = 0;
        FixedQueue<uint8_t, kQueueLength> queue;  // on its way to the controller
    };

    void reset() { state_ = {}; }
    void write(uint8_t byte);
    bool has_byte() const { return !state_.queue.empty(); }
    // Precondition: has_byte().
    uint8_t take_byte();

    const State& state() const { return state_; }
    void set_state(const State& state) { state_ = state; }

private:
    void command(uint8_t byte);
    void parameter(uint8_t command, uint8_t byte);
    void select_scan_codes(uint8_t set);
    void send(uint8_t byte) { state_.queue.push(byte); }

    State state_;
};

}  // namespace banyan
