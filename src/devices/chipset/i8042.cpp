#include "devices/chipset/i8042.hpp"

#include "devices/chipset/i8042_regs.hpp"
#include "devices/chipset/i8042_scan_codes.hpp"
#include "devices/chipset/i8042_state.hpp"
#include "snapshot/state.hpp"

namespace banyan {

using namespace kbc;

namespace {

constexpr std::array<PortRange, 3> kI8042Ports{{{kDataPort, 1}, {kCommandPort, 1}, {kPort92, 1}}};

template <size_t N>
void fill_queue(FixedQueue<uint8_t, N>& queue, const std::array<uint8_t, N>& bytes, size_t count) {
    queue.clear();
    for (size_t i = 0; i < count; ++i)
        queue.push(bytes[i]);
}

}  // namespace

I8042::I8042(const Wiring& wiring)
    : keyboard_irq_(wiring.keyboard),
      mouse_irq_(wiring.mouse),
      machine_(wiring.machine),
      clock_(wiring.clock),
      timer_(wiring.timers.create_timer(*this, 0)) {}

std::span<const PortRange> I8042::port_ranges() const {
    return kI8042Ports;
}

void I8042::reset() {
    state_ = {};
    keyboard_.reset();
    mouse_.reset();
    timer_->cancel();
    update_irqs();
}

IoStatus I8042::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (size != 1) return IoStatus::bad_size;
    switch (port) {
        case kDataPort: value = read_data(); return IoStatus::ok;
        case kCommandPort: value = read_status(); return IoStatus::ok;
        case kPort92: value = state_.port92; return IoStatus::ok;
        default: return IoStatus::no_register;
    }
}

IoStatus I8042::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 1) return IoStatus::bad_size;
    const auto byte = static_cast<uint8_t>(value);
    switch (port) {
        case kDataPort: write_data(byte); break;
        case kCommandPort: write_command(byte); break;
        case kPort92: write_port92(byte); break;
        default: return IoStatus::no_register;
    }
    after_input();
    return IoStatus::ok;
}

uint8_t I8042::read_status() const {
    uint8_t value = status::kUnlocked;
    if (state_.output_full) value |= status::OBF;
    if (state_.output_full && state_.output_source == Source::mouse) value |= status::AUXB;
    if ((mode() & mode::SYS) != 0) value |= status::SYS;
    if (state_.command_last) value |= status::CD;
    return value;
}

// The interrupt falls before the next byte raises it: drivers behind an edge-triggered input need
// the edge.
uint8_t I8042::read_data() {
    const uint8_t value = state_.output;
    state_.output_full = false;
    update_irqs();
    after_input();
    return value;
}

// What came from the guest or the outside may have given the devices something to say.
void I8042::after_input() {
    mouse_.report_if_due(clock_.now_ns());
    fetch();
    update_irqs();
    arm_timer();
}

void I8042::fetch() {
    if (!state_.output_full && (mode() & mode::kKeyboardDisabled) == 0) fetch_from_keyboard();
    if (state_.output_full || (mode() & mode::kMouseDisabled) != 0 || !mouse_.has_byte()) return;
    reply(mouse_.take_byte(), Source::mouse);
}

void I8042::fetch_from_keyboard() {
    while (!state_.output_full && keyboard_.has_byte()) {
        const uint8_t byte = keyboard_.take_byte();
        const auto seen = (mode() & mode::kTranslate) != 0 ? translate(byte) : byte;
        if (seen) reply(*seen);
    }
}

// Set 2 to set 1: F0h before a key becomes bit 7 of its code.
std::optional<uint8_t> I8042::translate(uint8_t byte) {
    if (byte == kBreakCode) {
        state_.break_pending = true;
        return std::nullopt;
    }
    const uint8_t code = set2_to_set1(byte);
    const bool released = state_.break_pending && code < kReleased;
    if (code < kReleased) state_.break_pending = false;
    return static_cast<uint8_t>(released ? code | kReleased : code);
}

void I8042::key(KeyCode key, bool pressed) {
    keyboard_.key(key, pressed, clock_.now_ns());
    after_input();
}

void I8042::pointer(const PointerEvent& event) {
    mouse_.pointer(event, clock_.now_ns());
    after_input();
}

void I8042::on_timer(unsigned /*cookie*/) {
    keyboard_.repeat_if_due(clock_.now_ns());
    after_input();
}

void I8042::arm_timer() {
    const uint64_t key = keyboard_.repeat_at_ns();
    const uint64_t packet = mouse_.report_at_ns();
    if (key == 0 && packet == 0) return timer_->cancel();
    timer_->arm(key == 0 || (packet != 0 && packet < key) ? packet : key);
}

void I8042::reply(uint8_t value, Source source) {
    state_.output = value;
    state_.output_full = true;
    state_.output_source = source;
}

void I8042::update_irqs() {
    const bool mouse = state_.output_source == Source::mouse;
    keyboard_irq_.set(state_.output_full && !mouse && (mode() & mode::kKeyboardInterrupt) != 0);
    mouse_irq_.set(state_.output_full && mouse && (mode() & mode::kMouseInterrupt) != 0);
}

void I8042::set_mode_bit(uint8_t bit, bool on) {
    state_.ram[0] = static_cast<uint8_t>(on ? state_.ram[0] | bit : state_.ram[0] & ~bit);
}

void I8042::write_command(uint8_t command) {
    state_.command_last = true;
    state_.command = 0;
    if (command >= PULSE_OUTPUT) {
        if ((command & output_port::kNotReset) == 0) machine_.request(MachineEvent::reset);
        return;
    }
    if (command >= READ_RAM && command <= READ_RAM + kRamMask)
        return reply(state_.ram[command & kRamMask]);
    if (command >= WRITE_RAM && command <= WRITE_RAM + kRamMask) {
        state_.command = command;
        return;
    }
    switch (command) {
        case TEST_PASSWORD: return reply(kNoPassword);
        case DISABLE_MOUSE: return set_mode_bit(mode::kMouseDisabled, true);
        case ENABLE_MOUSE: return set_mode_bit(mode::kMouseDisabled, false);
        case TEST_MOUSE: return reply(kInterfaceGood);
        case SELF_TEST: return reply(kSelfTestPassed);
        case TEST_KEYBOARD: return reply(kInterfaceGood);
        case DISABLE_KEYBOARD: return set_mode_bit(mode::kKeyboardDisabled, true);
        case ENABLE_KEYBOARD: return set_mode_bit(mode::kKeyboardDisabled, false);
        case READ_INPUT_PORT: return reply(kInputPort);
        case READ_OUTPUT_PORT: return reply(read_output_port());
        case WRITE_OUTPUT_PORT:
        case WRITE_KEYBOARD_BUFFER:
        case WRITE_MOUSE_BUFFER:
        case WRITE_MOUSE: state_.command = command; return;
        case DISABLE_A20: state_.a20 = false; return;
        case ENABLE_A20: state_.a20 = true; return;
        case READ_TEST_INPUTS: return reply(0);
        default: return;  // unknown commands do nothing
    }
}

void I8042::write_data(uint8_t value) {
    state_.command_last = false;
    const uint8_t command = state_.command;
    state_.command = 0;
    if (command != 0) return write_parameter(command, value);
    // A byte for the keyboard enables its interface.
    set_mode_bit(mode::kKeyboardDisabled, false);
    keyboard_.write(value);
}

void I8042::write_parameter(uint8_t command, uint8_t value) {
    switch (command) {
        case WRITE_OUTPUT_PORT: return write_output_port(value);
        case WRITE_KEYBOARD_BUFFER: return reply(value);
        case WRITE_MOUSE_BUFFER: return reply(value, Source::mouse);
        case WRITE_MOUSE: return write_to_mouse(value);
        default: state_.ram[command & kRamMask] = value; return;
    }
}

void I8042::write_to_mouse(uint8_t value) {
    set_mode_bit(mode::kMouseDisabled, false);
    mouse_.write(value);
}

uint8_t I8042::read_output_port() const {
    uint8_t value = output_port::kNotReset | output_port::kLinesHigh;
    if (state_.a20) value |= output_port::A20;
    if (state_.output_full) {
        value |= state_.output_source == Source::mouse ? output_port::kMouseFull
                                                       : output_port::kKeyboardFull;
    }
    return value;
}

void I8042::write_output_port(uint8_t value) {
    state_.a20 = (value & output_port::A20) != 0;
    if ((value & output_port::kNotReset) == 0) machine_.request(MachineEvent::reset);
}

// A rising edge of bit 0 resets.
void I8042::write_port92(uint8_t value) {
    const bool rises = (value & ~state_.port92 & port92::kFastReset) != 0;
    state_.port92 = value & (port92::kFastReset | port92::A20);
    if (rises) machine_.request(MachineEvent::reset);
}

void I8042::save(StateWriter& writer) const {
    I8042StateV1 saved;
    saved.ram = state_.ram;
    saved.command = state_.command;
    saved.command_last = state_.command_last;
    saved.output = state_.output;
    saved.output_full = state_.output_full;
    saved.output_from_mouse = state_.output_source == Source::mouse;
    saved.a20 = state_.a20;
    saved.port92 = state_.port92;
    const AtKeyboard::State& keyboard = keyboard_.state();
    saved.keyboard_command = keyboard.command;
    saved.keyboard_scan_code_set = keyboard.scan_code_set;
    saved.keyboard_last_sent = keyboard.last_sent;
    saved.keyboard_queue = keyboard.queue.elements();
    saved.keyboard_queue_length = static_cast<uint8_t>(keyboard.queue.size());
    saved.break_pending = state_.break_pending;
    saved.keyboard_replies = keyboard.replies.elements();
    saved.keyboard_replies_length = static_cast<uint8_t>(keyboard.replies.size());
    saved.keyboard_scanning = keyboard.scanning;
    saved.keyboard_indicators = keyboard.indicators;
    saved.keyboard_typematic = keyboard.typematic;
    saved.keyboard_repeated = keyboard.repeated.value;
    saved.keyboard_repeat_at_ns = keyboard.repeat_at_ns;
    saved.keyboard_pressed = keyboard.pressed;
    saved.mouse = mouse_.save();
    writer.section(saved);
}

Result<void> I8042::restore(StateReader& reader) {
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

Result<void> I8042::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<I8042StateV1>());
    Ps2Mouse mouse;
    const bool possible = saved.keyboard_queue_length <= saved.keyboard_queue.size() &&
                          saved.keyboard_replies_length <= saved.keyboard_replies.size() &&
                          saved.keyboard_scan_code_set >= 1 && saved.keyboard_scan_code_set <= 2 &&
                          saved.keyboard_indicators <= 0x07 && saved.keyboard_typematic <= 0x7F &&
                          (saved.port92 & ~(port92::kFastReset | port92::A20)) == 0 &&
                          mouse.restore(saved.mouse);
    if (!possible) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'i8042' is impossible");
    }
    state_ = {.ram = saved.ram,
              .command = saved.command,
              .command_last = saved.command_last,
              .output = saved.output,
              .output_full = saved.output_full,
              .output_source = saved.output_from_mouse ? Source::mouse : Source::keyboard,
              .a20 = saved.a20,
              .port92 = saved.port92,
              .break_pending = saved.break_pending};
    AtKeyboard::State keyboard{.command = saved.keyboard_command,
                               .scan_code_set = saved.keyboard_scan_code_set,
                               .last_sent = saved.keyboard_last_sent,
                               .scanning = saved.keyboard_scanning,
                               .indicators = saved.keyboard_indicators,
                               .typematic = saved.keyboard_typematic,
                               .repeated = {saved.keyboard_repeated},
                               .repeat_at_ns = saved.keyboard_repeat_at_ns,
                               .pressed = saved.keyboard_pressed,
                               .replies = {},
                               .queue = {}};
    fill_queue(keyboard.replies, saved.keyboard_replies, saved.keyboard_replies_length);
    fill_queue(keyboard.queue, saved.keyboard_queue, saved.keyboard_queue_length);
    keyboard_.set_state(keyboard);
    mouse_ = mouse;
    arm_timer();
    update_irqs();
    return {};
}

}  // namespace banyan
