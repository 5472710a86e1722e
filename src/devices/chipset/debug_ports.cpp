#include "devices/chipset/debug_ports.hpp"

#include "support/log.hpp"

namespace banyan {

namespace {

constexpr PortRange kDebugConPorts[] = {{DebugCon::kPort, 1}, {DebugCon::kFirmwarePort, 1}};
constexpr PortRange kPvPanicPorts{PvPanic::kPort, 1};
constexpr uint8_t kDebugConPresent = 0xE9;

}  // namespace

IoStatus DebugExit::port_read(uint16_t /*port*/, unsigned /*size*/, uint32_t& value) {
    value = 0;
    return IoStatus::ok;
}

IoStatus DebugExit::port_write(uint16_t port, unsigned /*size*/, uint32_t value) {
    if (port != range_.first) return IoStatus::no_register;
    machine_.request(MachineEvent::debug_exit, value);
    return IoStatus::ok;
}

std::span<const PortRange> DebugCon::port_ranges() const {
    return kDebugConPorts;
}

IoStatus DebugCon::port_read(uint16_t /*port*/, unsigned size, uint32_t& value) {
    if (size != 1) return IoStatus::bad_size;
    value = kDebugConPresent;
    return IoStatus::ok;
}

// The port cannot make the guest wait: what the back end has no room for is lost.
IoStatus DebugCon::port_write(uint16_t /*port*/, unsigned size, uint32_t value) {
    if (size != 1) return IoStatus::bad_size;
    const auto character = static_cast<uint8_t>(value);
    (void)out_.write({&character, 1});
    return IoStatus::ok;
}

std::span<const PortRange> PvPanic::port_ranges() const {
    return {&kPvPanicPorts, 1};
}

// What this machine understands.
IoStatus PvPanic::port_read(uint16_t /*port*/, unsigned size, uint32_t& value) {
    if (size != 1) return IoStatus::bad_size;
    value = kPanicked | kCrashLoaded;
    return IoStatus::ok;
}

IoStatus PvPanic::port_write(uint16_t /*port*/, unsigned size, uint32_t value) {
    if (size != 1) return IoStatus::bad_size;
    if ((value & kPanicked) != 0) {
        machine_.request(MachineEvent::guest_panic);
    } else if ((value & kCrashLoaded) != 0) {
        LOG_LIMITED(LogLevel::warning, "pvpanic", "the guest crashed: its crash kernel takes over");
    }
    return IoStatus::ok;
}

}  // namespace banyan
