// Chip: one device on the board with its lock and its timers.
#pragma once

#include <memory>
#include <string>

#include "machine/device_slot.hpp"

namespace banyan {

// Members in the order in which they depend on each other. The slot and the timers exist before the
// device, whose constructor takes them.
struct Chip {
    explicit Chip(TimerService& host) : timers(host, slot) {}
    virtual ~Chip() = default;

    template <class T, class... Arguments>
    T& make(std::string key_in_state, Arguments&&... arguments) {
        auto made = std::make_unique<T>(std::forward<Arguments>(arguments)...);
        T& made_device = *made;
        install(std::move(key_in_state), std::move(made));
        return made_device;
    }
    void install(std::string key_in_state, std::unique_ptr<Device> made) {
        key = std::move(key_in_state);
        device = std::move(made);
        slot.set_device(*device);
    }

    std::string key;  // names it in saved states; unique on the board
    DeviceSlot slot;
    LockedTimerService timers;
    std::unique_ptr<Device> device;
};

// A chip that is the device's end of a character stream.
struct CharChip : Chip {
    explicit CharChip(TimerService& host) : Chip(host), client(slot) {}
    LockedCharClient client;
};

}  // namespace banyan
