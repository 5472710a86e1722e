// AtKeyboard: an AT keyboard (IBM PC AT technical reference, section 4 "Keyboard") with scan code
// sets 1 and 2.
#pragma once

#include <array>
#include <cstdint>

#include "support/fixed_queue.hpp"
#include "vm/input.hpp"

namespace banyan {

class AtKeyboard {
public:
    static constexpr size_t kQueueLength = 16;
    static constexpr uint8_t kUsualTypematic = 0x2B;  // 500 ms, then 10.9 a second
    static constexpr uint8_t kDefaultSet = 2;

    struct State {
        uint8_t command = 0;  // that waits for its parameter; 0: none
        uint8_t scan_code_set = kDefaultSet;
        uint8_t last_sent = 0;
        bool scanning = true;
        uint8_t indicators = 0;
        uint8_t typematic = kUsualTypematic;
        KeyCode repeated;  // the key that was pressed last and is still down; 0: none
        uint64_t repeat_at_ns = 0;
        std::array<uint8_t, 32> pressed{};          // a bit for each KeyCode
        FixedQueue<uint8_t, kQueueLength> replies;  // on their way to the controller: first
        FixedQueue<uint8_t, kQueueLength> queue;    // these, then keys
    };

    void reset() { state_ = {}; }
    void write(uint8_t byte);
    bool has_byte() const { return !state_.replies.empty() || !state_.queue.empty(); }
    // Precondition: has_byte().
    uint8_t take_byte();

    void key(KeyCode key, bool pressed, uint64_t now_ns);
    // Room for the longest sequence.
    bool ready_for_key() const { return state_.queue.size() <= kQueueLength / 2; }

    // When the key that is down is to be repeated; 0: none is.
    uint64_t repeat_at_ns() const { return state_.repeated.value != 0 ? state_.repeat_at_ns : 0; }
    void repeat_if_due(uint64_t now_ns);

    const State& state() const { return state_; }
    void set_state(const State& state) { state_ = state; }

private:
    void command(uint8_t byte);
    void parameter(uint8_t command, uint8_t byte);
    void select_scan_codes(uint8_t set);
    void set_defaults();
    void reply(uint8_t byte) { state_.replies.push(byte); }
    void send_key(KeyCode key, bool pressed);
    bool is_pressed(KeyCode key) const;

    State state_;
};

}  // namespace banyan
