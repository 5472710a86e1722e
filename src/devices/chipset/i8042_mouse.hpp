// Ps2Mouse: a mouse with two or three buttons and, for drivers that know how to ask, a wheel (IBM
// Personal System/2 hardware interface technical reference, "Mouse"; Microsoft, "Windows and the
// 5-button wheel mouse").
#pragma once

#include <array>
#include <cstdint>

#include "support/fixed_queue.hpp"
#include "vm/input.hpp"

namespace banyan {

struct Ps2MouseState;

class Ps2Mouse {
public:
    static constexpr size_t kQueueLength = 16;
    static constexpr int32_t kMostPending = 1 << 16;

    enum class Mode : uint8_t { stream, remote };
    // By the number that the mouse has for itself.
    enum class Kind : uint8_t { standard = 0, wheel = 3, five_buttons = 4 };

    struct State {
        uint8_t command = 0;  // that waits for its parameter; 0: none
        Mode mode = Mode::stream;
        bool wrap = false;  // every byte comes back
        bool reporting = false;
        bool scaling = false;  // 2:1
        uint8_t resolution = 2;
        uint8_t rate = 100;  // packets a second
        Kind kind = Kind::standard;
        std::array<uint8_t, 3> last_rates{};  // the newest first: how drivers ask for a wheel
        uint8_t last_sent = 0;
        uint8_t buttons = 0;           // now
        uint8_t reported_buttons = 0;  // in the last packet
        int32_t dx = 0;                // not reported yet; to the right, down
        int32_t dy = 0;
        int32_t wheel = 0;
        uint64_t next_packet_ns = 0;
        FixedQueue<uint8_t, kQueueLength> queue;  // on its way to the controller
    };

    void reset() { state_ = {}; }
    void write(uint8_t byte);
    bool has_byte() const { return !state_.queue.empty(); }
    // Precondition: has_byte().
    uint8_t take_byte();

    void pointer(const PointerEvent& event, uint64_t now_ns);
    // When there is something to report that has to wait; 0: nothing.
    uint64_t report_at_ns() const { return wants_to_report() ? state_.next_packet_ns : 0; }
    void report_if_due(uint64_t now_ns);

    Ps2MouseState save() const;
    // False when no sequence of commands leads there.
    bool restore(const Ps2MouseState& saved);

private:
    void command(uint8_t byte);
    void parameter(uint8_t command, uint8_t byte);
    void set_rate(uint8_t rate);
    void set_defaults();
    void send(uint8_t byte) { state_.queue.push(byte); }
    void send_status();
    void send_packet();
    uint8_t fourth_byte();
    bool wants_to_report() const;

    State state_;
};

}  // namespace banyan
