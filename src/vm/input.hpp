// What people do at a guest's keyboard and mouse.
#pragma once

#include <cstdint>

namespace banyan {

// A key by its place: the code that the PC's keyboard sends for it in scan code set 1, with
// kExtended for keys whose code follows E0h. Pause, which has a sequence of its own, is E0h 46h.
struct KeyCode {
    static constexpr uint8_t kExtended = 0x80;

    uint8_t value = 0;

    friend bool operator==(KeyCode, KeyCode) = default;
};

// A movement since the last one. Positive is to the right, down, and for the wheel towards the
// user.
struct PointerEvent {
    enum Button : uint8_t { left = 1, right = 2, middle = 4, side = 8, extra = 16 };

    int32_t dx = 0;
    int32_t dy = 0;
    int32_t wheel = 0;
    uint8_t buttons = 0;  // that are down now
};

class InputSink {
public:
    // A key that is down already, or up, is no event.
    virtual void key(KeyCode key, bool pressed) = 0;
    virtual void pointer(const PointerEvent& event) = 0;
    // Whether the guest has taken the earlier keys, so that the next is not lost.
    virtual bool ready_for_key() const = 0;

protected:
    ~InputSink() = default;
};

}  // namespace banyan
