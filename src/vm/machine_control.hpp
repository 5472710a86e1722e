// What a chip may ask of the whole machine.
#pragma once

#include <cstdint>

namespace banyan {

enum class MachineEvent : uint8_t {
    power_off,    // ACPI S5
    reset,        // keyboard controller, port CF9, ACPI reset register
    guest_panic,  // pvpanic
    debug_exit,   // a write to the debug exit port; the value goes with it
};

class MachineControl {
public:
    // Asks for the event; it is carried out by the VM's run loop after the current instruction.
    // From any thread. The first request wins.
    virtual void request(MachineEvent event, uint32_t value = 0) = 0;
    // A watchdog has expired, and asks for `action`.
    virtual void watchdog_expired(MachineEvent action) { request(action); }

protected:
    ~MachineControl() = default;
};

}  // namespace banyan
