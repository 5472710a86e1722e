#include "devices/chipset/i8042_mouse.hpp"

#include <algorithm>

#include "devices/chipset/i8042_state.hpp"
#include "vm/clock.hpp"

namespace banyan {

namespace {

enum MouseCommand : uint8_t {
    kScaling1 = 0xE6,
    kScaling2 = 0xE7,
    kSetResolution = 0xE8,
    kStatusRequest = 0xE9,
    kSetStream = 0xEA,
    kReadData = 0xEB,
    kResetWrap = 0xEC,
    kSetWrap = 0xEE,
    kSetRemote = 0xF0,
    kMouseReadId = 0xF2,
    kSetRate = 0xF3,
    kEnableReporting = 0xF4,
    kDisableReporting = 0xF5,
    kMouseSetDefault = 0xF6,
    kMouseResend = 0xFE,
    kMouseReset = 0xFF,
};

constexpr uint8_t kMouseAcknowledge = 0xFA;
constexpr uint8_t kMouseTestPassed = 0xAA;
constexpr uint8_t kMouseResendRequest = 0xFE;
constexpr uint8_t kMouseError = 0xFC;
constexpr uint8_t kBasicButtons = 0x07;
constexpr size_t kLongestPacket = 4;

// A packet carries 9 bits of a movement.
constexpr int32_t kMostMovement = 255;

int32_t take(int32_t& pending, int32_t most) {
    const int32_t part = std::clamp(pending, -most, most);
    pending -= part;
    return part;
}

// 2:1 in stream mode, by IBM's table.
int32_t scaled(int32_t movement) {
    constexpr int32_t kTable[] = {0, 1, 1, 3, 6, 9};
    const int32_t amount = std::abs(movement);
    const int32_t result = amount <= 5 ? kTable[amount] : std::min(2 * amount, kMostMovement);
    return movement < 0 ? -result : result;
}

void add(int32_t& pending, int32_t movement) {
    const int64_t sum = int64_t{pending} + movement;
    pending = static_cast<int32_t>(
        std::clamp<int64_t>(sum, -Ps2Mouse::kMostPending, Ps2Mouse::kMostPending));
}

}  // namespace

uint8_t Ps2Mouse::take_byte() {
    state_.last_sent = state_.queue.pop();
    return state_.last_sent;
}

void Ps2Mouse::write(uint8_t byte) {
    if (state_.wrap && byte != kMouseReset && byte != kResetWrap) return send(byte);
    const uint8_t waiting = state_.command;
    state_.command = 0;
    state_.queue.clear();
    if (waiting != 0) {
        parameter(waiting, byte);
    } else {
        command(byte);
    }
}

void Ps2Mouse::set_defaults() {
    state_.mode = Mode::stream;
    state_.reporting = false;
    state_.scaling = false;
    state_.resolution = 2;
    state_.rate = 100;
}

void Ps2Mouse::command(uint8_t byte) {
    switch (byte) {
        case kSetResolution:
        case kSetRate: state_.command = byte; break;
        case kScaling1: state_.scaling = false; break;
        case kScaling2: state_.scaling = true; break;
        case kSetStream: state_.mode = Mode::stream; break;
        case kSetRemote: state_.mode = Mode::remote; break;
        case kSetWrap: state_.wrap = true; break;
        case kResetWrap: state_.wrap = false; break;
        case kEnableReporting: state_.reporting = true; break;
        case kDisableReporting: state_.reporting = false; break;
        case kMouseSetDefault: set_defaults(); break;
        case kStatusRequest: send(kMouseAcknowledge); return send_status();
        case kReadData: send(kMouseAcknowledge); return send_packet();
        case kMouseReadId: send(kMouseAcknowledge); return send(static_cast<uint8_t>(state_.kind));
        case kMouseResend: return send(state_.last_sent);
        case kMouseReset: {
            const uint8_t buttons = state_.buttons;
            reset();
            state_.buttons = buttons;
            state_.reported_buttons = buttons;
            send(kMouseAcknowledge);
            send(kMouseTestPassed);
            return send(0);
        }
        default: return send(kMouseResendRequest);
    }
    send(kMouseAcknowledge);
}

void Ps2Mouse::parameter(uint8_t command, uint8_t byte) {
    if (command == kSetRate) return set_rate(byte);
    if (byte > 3) return send(kMouseError);
    state_.resolution = byte;
    send(kMouseAcknowledge);
}

namespace {

constexpr std::array<uint8_t, 7> kRates{10, 20, 40, 60, 80, 100, 200};

bool is_rate(uint8_t rate) {
    return std::find(kRates.begin(), kRates.end(), rate) != kRates.end();
}

}  // namespace

// Rates 200, 100, 80 in a row ask for the wheel, 200, 200, 80 then for five buttons.
void Ps2Mouse::set_rate(uint8_t rate) {
    if (!is_rate(rate)) return send(kMouseError);
    state_.rate = rate;
    state_.last_rates = {rate, state_.last_rates[0], state_.last_rates[1]};
    if (state_.last_rates == std::array<uint8_t, 3>{80, 100, 200} && state_.kind == Kind::standard)
        state_.kind = Kind::wheel;
    if (state_.last_rates == std::array<uint8_t, 3>{80, 200, 200} && state_.kind == Kind::wheel)
        state_.kind = Kind::five_buttons;
    send(kMouseAcknowledge);
}

void Ps2Mouse::send_status() {
    uint8_t status = 0;
    if (state_.mode == Mode::remote) status |= 0x40;
    if (state_.reporting) status |= 0x20;
    if (state_.scaling) status |= 0x10;
    if ((state_.buttons & PointerEvent::left) != 0) status |= 0x04;
    if ((state_.buttons & PointerEvent::middle) != 0) status |= 0x02;
    if ((state_.buttons & PointerEvent::right) != 0) status |= 0x01;
    send(status);
    send(state_.resolution);
    send(state_.rate);
}

void Ps2Mouse::send_packet() {
    int32_t dx = take(state_.dx, kMostMovement);
    int32_t dy = -take(state_.dy, kMostMovement);  // upwards is positive
    if (state_.scaling && state_.mode == Mode::stream) {
        dx = scaled(dx);
        dy = scaled(dy);
    }
    uint8_t first = 0x08 | (state_.buttons & kBasicButtons);
    if (dx < 0) first |= 0x10;
    if (dy < 0) first |= 0x20;
    send(first);
    send(static_cast<uint8_t>(dx));
    send(static_cast<uint8_t>(dy));
    if (state_.kind != Kind::standard) send(fourth_byte());
    state_.reported_buttons = state_.buttons;
}

uint8_t Ps2Mouse::fourth_byte() {
    const int32_t wheel = take(state_.wheel, 7);
    if (state_.kind == Kind::wheel) return static_cast<uint8_t>(wheel);
    uint8_t byte = static_cast<uint8_t>(wheel) & 0x0F;
    if ((state_.buttons & PointerEvent::side) != 0) byte |= 0x10;
    if ((state_.buttons & PointerEvent::extra) != 0) byte |= 0x20;
    return byte;
}

bool Ps2Mouse::wants_to_report() const {
    if (state_.mode != Mode::stream || !state_.reporting || state_.wrap) return false;
    const uint8_t seen = state_.kind == Kind::five_buttons ? 0x1F : kBasicButtons;
    const bool rolled = state_.kind != Kind::standard && state_.wheel != 0;
    return state_.dx != 0 || state_.dy != 0 || rolled ||
           ((state_.buttons ^ state_.reported_buttons) & seen) != 0;
}

void Ps2Mouse::pointer(const PointerEvent& event, uint64_t now_ns) {
    state_.buttons = event.buttons & 0x1F;
    if (!state_.reporting && state_.mode == Mode::stream) return;
    add(state_.dx, event.dx);
    add(state_.dy, event.dy);
    if (state_.kind != Kind::standard) add(state_.wheel, event.wheel);
    report_if_due(now_ns);
}

// Packets come as often as the guest asked for, and not before it has taken the last one.
void Ps2Mouse::report_if_due(uint64_t now_ns) {
    if (!wants_to_report() || now_ns < state_.next_packet_ns) return;
    state_.next_packet_ns = now_ns + kNsPerSecond / state_.rate;
    if (state_.queue.size() + kLongestPacket <= kQueueLength) send_packet();
}

Ps2MouseState Ps2Mouse::save() const {
    return {.command = state_.command,
            .remote = state_.mode == Mode::remote,
            .wrap = state_.wrap,
            .reporting = state_.reporting,
            .scaling = state_.scaling,
            .resolution = state_.resolution,
            .rate = state_.rate,
            .kind = static_cast<uint8_t>(state_.kind),
            .last_rates = state_.last_rates,
            .last_sent = state_.last_sent,
            .buttons = state_.buttons,
            .reported_buttons = state_.reported_buttons,
            .dx = static_cast<uint32_t>(state_.dx),
            .dy = static_cast<uint32_t>(state_.dy),
            .wheel = static_cast<uint32_t>(state_.wheel),
            .next_packet_ns = state_.next_packet_ns,
            .queue = state_.queue.elements(),
            .queue_length = static_cast<uint8_t>(state_.queue.size())};
}

namespace {

bool is_pending(uint32_t saved) {
    const auto movement = static_cast<int32_t>(saved);
    return movement >= -Ps2Mouse::kMostPending && movement <= Ps2Mouse::kMostPending;
}

}  // namespace

bool Ps2Mouse::restore(const Ps2MouseState& saved) {
    const bool possible = (saved.kind == 0 || saved.kind == 3 || saved.kind == 4) &&
                          is_rate(saved.rate) && saved.resolution <= 3 && saved.buttons <= 0x1F &&
                          is_pending(saved.dx) && is_pending(saved.dy) && is_pending(saved.wheel) &&
                          saved.queue_length <= saved.queue.size();
    if (!possible) return false;
    state_ = {.command = saved.command,
              .mode = saved.remote ? Mode::remote : Mode::stream,
              .wrap = saved.wrap,
              .reporting = saved.reporting,
              .scaling = saved.scaling,
              .resolution = saved.resolution,
              .rate = saved.rate,
              .kind = static_cast<Kind>(saved.kind),
              .last_rates = saved.last_rates,
              .last_sent = saved.last_sent,
              .buttons = saved.buttons,
              .reported_buttons = saved.reported_buttons,
              .dx = static_cast<int32_t>(saved.dx),
              .dy = static_cast<int32_t>(saved.dy),
              .wheel = static_cast<int32_t>(saved.wheel),
              .next_packet_ns = saved.next_packet_ns,
              .queue = {}};
    for (size_t i = 0; i < saved.queue_length; ++i)
        state_.queue.push(saved.queue[i]);
    return true;
}

}  // namespace banyan
