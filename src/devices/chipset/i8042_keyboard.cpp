#include "devices/chipset/i8042_keyboard.hpp"

namespace banyan {

namespace {

enum Command : uint8_t {
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

}  // namespace

uint8_t AtKeyboard::take_byte() {
    state_.last_sent = state_.queue.pop();
    return state_.last_sent;
}

// A command in place of a parameter is taken as a command. What was not sent yet is dropped.
void AtKeyboard::write(uint8_t byte) {
    const uint8_t waiting = state_.command;
    state_.command = 0;
    state_.queue.clear();
    if (waiting != 0 && byte < kLowestCommand) {
        parameter(waiting, byte);
    } else {
        command(byte);
    }
}

void AtKeyboard::command(uint8_t byte) {
    switch (byte) {
        case kEcho: return send(kEcho);
        case kResendLast: return send(state_.last_sent);
        case kReset:
            reset();
            send(kAcknowledge);
            return send(kKeyboardTestPassed);
        case kReadId:
            send(kAcknowledge);
            send(kId[0]);
            return send(kId[1]);
        case kSetIndicators:
        case kScanCodeSet:
        case kTypematicRate: state_.command = byte; return send(kAcknowledge);
        case kEnable: return send(kAcknowledge);
        case kDefaultDisable:
        case kSetDefault: state_.scan_code_set = 2; return send(kAcknowledge);
        default: break;
    }
    send(byte >= kFirstKeyType && byte <= kLastKeyType ? kAcknowledge : kResendRequest);
}

void AtKeyboard::parameter(uint8_t command, uint8_t byte) {
    if (command == kScanCodeSet) return select_scan_codes(byte);
    send(kAcknowledge);  // indicators and typematic rate: nothing to see
}

// 0 asks for the present set.
void AtKeyboard::select_scan_codes(uint8_t set) {
    if (set > 3) return send(kResendRequest);
    send(kAcknowledge);
    if (set == 0) return send(state_.scan_code_set);
    state_.scan_code_set = set;
}

}  // namespace banyan
