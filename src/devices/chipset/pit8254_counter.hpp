// PitCounter: one of the 82C54's three counters, as a function of time. Time is in periods of its
// clock input ("ticks"), counted from the start of the machine.
#pragma once

#include <cstdint>
#include <optional>

namespace banyan {

struct PitCounterStateV1;

class PitCounter {
public:
    // Saved ticks are refused outside of these, so that arithmetic on them cannot overflow.
    static constexpr int64_t kMinTick = -(int64_t{1} << 20);
    static constexpr int64_t kMaxTick = int64_t{1} << 54;

    explicit PitCounter(bool gate = true) { state_.gate = gate; }

    void save(PitCounterStateV1& saved, int64_t now) const;
    bool restore(const PitCounterStateV1& saved);

    // `control` is the control word, its RW field not 0 (latch_count() is that command).
    void write_control(uint8_t control, int64_t now);
    void write_count(uint8_t value, int64_t now);
    uint8_t read(int64_t now);
    void latch_count(int64_t now);
    void latch_status(int64_t now);

    void set_gate(bool gate, int64_t now);
    bool output(int64_t now);

    // The first tick after `now` at which the output rises by itself.
    std::optional<int64_t> next_rising_edge(int64_t now);
    // Ticks between rising edges; 0 when they do not repeat.
    uint32_t period() const { return periodic() ? cycle(state_.count) : 0; }

private:
    enum class Mode : uint8_t {
        interrupt_on_terminal_count = 0,
        hardware_one_shot = 1,
        rate_generator = 2,
        square_wave = 3,
        software_strobe = 4,
        hardware_strobe = 5,
    };
    // The control word's RW field.
    enum class Access : uint8_t { low = 1, high = 2, both = 3 };

    struct State {
        Mode mode = Mode::interrupt_on_terminal_count;
        Access access = Access::both;
        bool bcd = false;
        bool gate = true;
        bool write_high_next = false;
        bool read_high_next = false;
        uint8_t low_byte = 0;  // the first of two bytes of a count
        std::optional<uint16_t> count_latch;
        std::optional<uint8_t> status_latch;
        bool loaded = false;       // the counting element got a count since the control word
        bool stopped = false;      // loaded, but the gate or a half-written count holds it
        uint32_t count = 0x10000;  // what was loaded: 1..65536, in BCD 1..10000
        std::optional<uint32_t>
            next_count;           // written, waits for a trigger or for the end of the (half) cycle
        int64_t switch_tick = 0;  // that end, in the periodic modes
        int64_t start = 0;        // tick of loading
        int64_t elapsed = 0;      // ticks counted, while stopped
    };

    bool periodic() const {
        return state_.mode == Mode::rate_generator || state_.mode == Mode::square_wave;
    }
    bool triggered_by_gate() const {
        return state_.mode == Mode::hardware_one_shot || state_.mode == Mode::hardware_strobe;
    }
    // Counting, from the tick after loading on.
    bool running(int64_t now) const {
        return state_.loaded && !state_.stopped && now >= state_.start;
    }
    int64_t elapsed(int64_t now) const;
    uint32_t phase(int64_t now) const;

    uint32_t modulus() const { return state_.bcd ? 10000 : 0x10000; }
    uint32_t decode(uint16_t written) const;
    uint16_t encode(uint32_t value) const;
    uint16_t counting_element(int64_t now) const;
    static uint32_t cycle(uint32_t count) { return count < 2 ? 2 : count; }
    static uint32_t high_ticks(uint32_t count) { return (cycle(count) + 1) / 2; }
    uint8_t pick_byte(uint16_t value);

    void settle(int64_t now);
    void write_to(PitCounterStateV1& saved) const;
    void load(uint32_t count, int64_t now);
    void stop(int64_t now);
    void count_written(uint32_t count, int64_t now);

    State state_;
};

}  // namespace banyan
