// A screen, and a keyboard with its mouse, as the outside sees them: each call takes the lock of
// the device's slot. From any thread.
#pragma once

#include "machine/device_slot.hpp"
#include "vm/display.hpp"
#include "vm/input.hpp"

namespace banyan {

class LockedDisplay final : public DisplaySource {
public:
    LockedDisplay(DeviceSlot& slot, DisplaySource& device) : slot_(slot), device_(device) {}

    DisplayChange update(DisplayFrame& frame) override {
        SlotLock lock(slot_);
        return device_.update(frame);
    }
    bool text(std::string& to) override {
        SlotLock lock(slot_);
        return device_.text(to);
    }

private:
    DeviceSlot& slot_;
    DisplaySource& device_;
};

class LockedInput final : public InputSink {
public:
    LockedInput(DeviceSlot& slot, InputSink& device) : slot_(slot), device_(device) {}

    void key(KeyCode key, bool pressed) override {
        SlotLock lock(slot_);
        device_.key(key, pressed);
    }
    void pointer(const PointerEvent& event) override {
        SlotLock lock(slot_);
        device_.pointer(event);
    }
    bool ready_for_key() const override {
        SlotLock lock(slot_);
        return device_.ready_for_key();
    }

private:
    DeviceSlot& slot_;
    InputSink& device_;
};

}  // namespace banyan
