// PitCounter: one of the 82C54's three counters, as a function of time. Time is in periods of its
// clock input ("ticks"), counted from the start of the machine.
#pragma once

#include <cstdint>
#include <optional>

namespace banyan {

struct PitCounterStateV1;

class PitCounter {
public:
    enum class Mode : uint8_t {
        interrupt_on_terminal_count = 0,
        hardware_one_shot = 1,
        rate_generator = 2,
        square_wave = 3,
        software_strobe = 4,
        hardware_strobe = 5,
    };

    void save(PitCounterStateV1& state) const;
    bool restore(const PitCounterStateV1& state);

    // `now` never goes back from one call to the next.
    void write_control(uint8_t control, int64_t now);
    void write_count(uint8_t value, int64_t now);
    uint8_t read(int64_t now);
    void latch_count(int64_t now);
    void latch_status(int64_t now);
    void set_gate(bool gate, int64_t now);

    bool gate() const { return state_.gate; }
    bool output(int64_t now) const;
    // The first tick after `now` at which the output rises, if time alone makes it rise.
    std::optional<int64_t> next_rising_edge(int64_t now) const;
    // Ticks between rising edges; 0 when they do not repeat.
    uint32_t period() const;

private:
    // The control word's RW field.
    enum class Access : uint8_t { latch = 0, low = 1, high = 2, both = 3 };

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
        bool null_count =
            true;  // a count was written (or none yet) and is not in the counting element
        bool counting = false;  // the counting element was loaded since the control word
        bool stopped = true;  // counting, but the gate or a half-written count holds the clock off
        uint32_t count = 0x10000;  // in the counting element's cycle: 1..65536 (BCD: 1..10000)
        std::optional<uint32_t>
            next_count;       // written, waits for the end of the cycle or for a trigger
        int64_t start = 0;    // tick at which the counting element was loaded
        int64_t elapsed = 0;  // ticks counted, while stopped
    };

    bool triggered_mode() const;
    bool periodic_mode() const;
    int64_t elapsed(int64_t now) const;
    uint32_t modulus() const { return state_.bcd ? 10000 : 0x10000; }
    uint32_t decode(uint16_t written) const;
    uint16_t encode(uint32_t value) const;
    uint32_t element(int64_t now) const;
    void settle(int64_t now);
    void load(uint32_t count, int64_t now);
    void stop(int64_t now);
    void go_on(int64_t now);
    void count_written(uint16_t written, int64_t now);

    State state_;
};

}  // namespace banyan
