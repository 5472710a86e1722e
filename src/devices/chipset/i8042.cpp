#include "devices/chipset/i8042.hpp"

#include "devices/chipset/i8042_regs.hpp"
#include "devices/chipset/i8042_state.hpp"
#include "snapshot/state.hpp"

namespace banyan {

using namespace kbc;

namespace {

constexpr std::array<PortRange, 3> kI8042Ports{{{kDataPort, 1}, {kCommandPort, 1}, {kPort92, 1}}};

// Scan code set 2 to set 1. Without keys only the bytes of the keyboard's ID and of its set number
// change.
uint8_t translated(uint8_t byte) {
    switch (byte) {
        case 0x01: return 0x43;
        case 0x02: return 0x41;
        case 0x03: return 0x3F;
        case 0x83: return 0x41;
        default: return byte;
    }
}

}  // namespace

std::span<const PortRange> I8042::port_ranges() const {
    return kI8042Ports;
}

void I8042::reset() {
    state_ = {};
    keyboard_.reset();
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
    fetch_from_keyboard();
    update_irqs();
    return IoStatus::ok;
}

uint8_t I8042::read_status() const {
    uint8_t value = status::kUnlocked;
    if (state_.output_full) value |= status::OBF;
    if (state_.output_full && state_.output_source == Source::mouse) value |= status::AUXB;
    if ((mode() & mode::SYS) != 0) value |= status::SYS;
    if (state_.command_last) value |= status::CD;
    if (state_.timed_out) value |= status::TO;
    return value;
}

// The interrupt falls before the next byte raises it: drivers behind an edge-triggered input need
// the edge.
uint8_t I8042::read_data() {
    const uint8_t value = state_.output;
    state_.output_full = false;
    state_.timed_out = false;
    update_irqs();
    fetch_from_keyboard();
    update_irqs();
    return value;
}

void I8042::fetch_from_keyboard() {
    if (state_.output_full || (mode() & mode::kKeyboardDisabled) != 0 || !keyboard_.has_byte())
        return;
    const uint8_t byte = keyboard_.take_byte();
    reply((mode() & mode::kTranslate) != 0 ? translated(byte) : byte);
}

void I8042::reply(uint8_t value, Source source) {
    state_.output = value;
    state_.output_full = true;
    state_.output_source = source;
    state_.timed_out = false;
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
        case TEST_MOUSE: return reply(kClockStuckLow);
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
        case WRITE_MOUSE_BUFFER:
            // QUIRK: with the mouse port off, as firmware leaves it, the byte comes back as the
            // keyboard's. By that Linux sees that there is no mouse, without a search that would
            // take it half a second.
            return reply(value,
                         (mode() & mode::kMouseDisabled) != 0 ? Source::keyboard : Source::mouse);
        case WRITE_MOUSE: return write_to_mouse();
        default: state_.ram[command & kRamMask] = value; return;
    }
}

// Nobody answers: the controller gives up and says so.
void I8042::write_to_mouse() {
    set_mode_bit(mode::kMouseDisabled, false);
    reply(kResend, Source::mouse);
    state_.timed_out = true;
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
    saved.timed_out = state_.timed_out;
    saved.a20 = state_.a20;
    saved.port92 = state_.port92;
    const AtKeyboard::State& keyboard = keyboard_.state();
    saved.keyboard_command = keyboard.command;
    saved.keyboard_scan_code_set = keyboard.scan_code_set;
    saved.keyboard_last_sent = keyboard.last_sent;
    saved.keyboard_queue = keyboard.queue.elements();
    saved.keyboard_queue_length = static_cast<uint8_t>(keyboard.queue.size());
    writer.section(saved);
}

Result<void> I8042::restore(StateReader& reader) {
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

Result<void> I8042::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<I8042StateV1>());
    if (saved.keyboard_queue_length > saved.keyboard_queue.size() ||
        saved.keyboard_scan_code_set < 1 || saved.keyboard_scan_code_set > 3 ||
        (saved.port92 & ~(port92::kFastReset | port92::A20)) != 0) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'i8042' is impossible");
    }
    state_ = {.ram = saved.ram,
              .command = saved.command,
              .command_last = saved.command_last,
              .output = saved.output,
              .output_full = saved.output_full,
              .output_source = saved.output_from_mouse ? Source::mouse : Source::keyboard,
              .timed_out = saved.timed_out,
              .a20 = saved.a20,
              .port92 = saved.port92};
    AtKeyboard::State keyboard{.command = saved.keyboard_command,
                               .scan_code_set = saved.keyboard_scan_code_set,
                               .last_sent = saved.keyboard_last_sent,
                               .queue = {}};
    for (size_t i = 0; i < saved.keyboard_queue_length; ++i)
        keyboard.queue.push(saved.keyboard_queue[i]);
    keyboard_.set_state(keyboard);
    update_irqs();
    return {};
}

}  // namespace banyan
