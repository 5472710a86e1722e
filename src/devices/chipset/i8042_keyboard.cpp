#include "devices/chipset/i8042_keyboard.hpp"

#include <algorithm>

#include "devices/chipset/i8042_scan_codes.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

enum KeyboardCommand : uint8_t {
    kSetIndicators = 0xED,
    kEcho = 0xEE,
    kScanCodeSet = 0xF0,
    kReadId = 0xF2,
    kTypematicRate = 0xF3,
    kEnable = 0xF4,
    kDefaultDisable = 0xF5,
    kSetDefault = 0xF6,
    kFirstKeyType = 0xF7,
    kLastKeyType = 0xFD,
    kResendLast = 0xFE,
    kReset = 0xFF,
};

constexpr uint8_t kAcknowledge = 0xFA;
constexpr uint8_t kKeyboardTestPassed = 0xAA;
constexpr uint8_t kResendRequest = 0xFE;
constexpr uint8_t kLowestCommand = kSetIndicators;
constexpr uint8_t kId[2] = {0xAB, 0x83};
constexpr KeyCode kPause{KeyCode::kExtended | 0x46};
constexpr uint8_t kPauseSet1[] = {0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5};
constexpr uint8_t kPauseSet2[] = {0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77};

// The bytes of one key; sets 1 and 2 have at most 8.
using Sequence = FixedQueue<uint8_t, 8>;

Sequence sequence_of(KeyCode key, bool pressed, uint8_t set) {
    Sequence bytes;
    if (key == kPause) {  // nothing comes when it is released
        if (!pressed) return bytes;
        if (set == 1) {
            for (const uint8_t byte : kPauseSet1)
                bytes.push(byte);
        } else {
            for (const uint8_t byte : kPauseSet2)
                bytes.push(byte);
        }
        return bytes;
    }
    const uint8_t code = key.value & 0x7F;
    if ((key.value & KeyCode::kExtended) != 0) bytes.push(kExtendedCode);
    if (set == 1) {
        bytes.push(static_cast<uint8_t>(pressed ? code : code | kReleased));
    } else {
        if (!pressed) bytes.push(kBreakCode);
        bytes.push(set1_to_set2(code));
    }
    return bytes;
}

// Command F3h: bits 6..5 the delay, 4..0 the rate.
uint64_t delay_ns(uint8_t typematic) {
    return (bits(typematic, 6, 5) + 1U) * uint64_t{250'000'000};
}

uint64_t period_ns(uint8_t typematic) {
    return (8U + bits(typematic, 2, 0)) * (uint64_t{4'170'000} << bits(typematic, 4, 3));
}

}  // namespace

uint8_t AtKeyboard::take_byte() {
    state_.last_sent = !state_.replies.empty() ? state_.replies.pop() : state_.queue.pop();
    return state_.last_sent;
}

// A command in place of a parameter is taken as a command. Replies that nobody took are dropped.
void AtKeyboard::write(uint8_t byte) {
    const uint8_t waiting = state_.command;
    state_.command = 0;
    state_.replies.clear();
    if (waiting != 0 && byte < kLowestCommand) {
        parameter(waiting, byte);
    } else {
        command(byte);
    }
}

void AtKeyboard::set_defaults() {
    state_.scan_code_set = kDefaultSet;
    state_.typematic = kUsualTypematic;
    state_.repeated = {};
    state_.queue.clear();
}

void AtKeyboard::command(uint8_t byte) {
    switch (byte) {
        case kEcho: return reply(kEcho);
        case kResendLast: return reply(state_.last_sent);
        case kReset:
            set_defaults();
            state_.scanning = true;
            state_.indicators = 0;
            state_.last_sent = 0;
            reply(kAcknowledge);
            return reply(kKeyboardTestPassed);
        case kReadId:
            reply(kAcknowledge);
            reply(kId[0]);
            return reply(kId[1]);
        case kSetIndicators:
        case kScanCodeSet:
        case kTypematicRate: state_.command = byte; return reply(kAcknowledge);
        case kEnable:
            state_.queue.clear();
            state_.scanning = true;
            return reply(kAcknowledge);
        case kDefaultDisable:
            set_defaults();
            state_.scanning = false;
            return reply(kAcknowledge);
        case kSetDefault:
            set_defaults();
            state_.scanning = true;
            return reply(kAcknowledge);
        default: break;
    }
    reply(byte >= kFirstKeyType && byte <= kLastKeyType ? kAcknowledge : kResendRequest);
}

void AtKeyboard::parameter(uint8_t command, uint8_t byte) {
    switch (command) {
        case kScanCodeSet: return select_scan_codes(byte);
        case kSetIndicators: state_.indicators = byte & 0x07; break;
        default: state_.typematic = byte & 0x7F; break;
    }
    reply(kAcknowledge);
}

// 0 asks for the present set. Set 3 is not there, as in many keyboards.
void AtKeyboard::select_scan_codes(uint8_t set) {
    if (set > 2) return reply(kResendRequest);
    reply(kAcknowledge);
    if (set == 0) return reply(state_.scan_code_set);
    state_.scan_code_set = set;
    state_.queue.clear();
}

bool AtKeyboard::is_pressed(KeyCode key) const {
    return has_bit(state_.pressed[key.value / 8U], key.value % 8U);
}

void AtKeyboard::key(KeyCode key, bool pressed, uint64_t now_ns) {
    if ((key.value & 0x7F) == 0 || is_pressed(key) == pressed) return;
    state_.pressed[key.value / 8U] ^= bit<uint8_t>(key.value % 8U);
    if (pressed && key != kPause) {
        state_.repeated = key;
        state_.repeat_at_ns = now_ns + delay_ns(state_.typematic);
    } else if (key == state_.repeated) {
        state_.repeated = {};
    }
    if (state_.scanning) send_key(key, pressed);
}

// A sequence that does not fit is lost, which the keyboard says: 00h, in set 1 FFh.
void AtKeyboard::send_key(KeyCode key, bool pressed) {
    Sequence bytes = sequence_of(key, pressed, state_.scan_code_set);
    const size_t room = kQueueLength - state_.queue.size();
    if (bytes.size() > room) {
        state_.queue.push(state_.scan_code_set == 1 ? 0xFF : 0x00);
        return;
    }
    while (!bytes.empty())
        state_.queue.push(bytes.pop());
}

// A repetition that the guest has not asked for yet is left out.
void AtKeyboard::repeat_if_due(uint64_t now_ns) {
    if (state_.repeated.value == 0 || now_ns < state_.repeat_at_ns) return;
    state_.repeat_at_ns = now_ns + period_ns(state_.typematic);
    if (state_.scanning && state_.queue.empty()) send_key(state_.repeated, true);
}

}  // namespace banyan
