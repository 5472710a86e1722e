#include "control/qmp/events.hpp"

namespace banyan::qmp {

namespace {

using Kind = VmEvent::Kind;

std::string_view name_of(Kind kind) {
    switch (kind) {
        case Kind::paused: return "STOP";
        case Kind::resumed: return "RESUME";
        case Kind::reset: return "RESET";
        case Kind::power_button: return "POWERDOWN";
        case Kind::guest_panic: return "GUEST_PANICKED";
        case Kind::watchdog: return "WATCHDOG";
        case Kind::disk_full: return "BLOCK_IO_ERROR";
        case Kind::removed: return "DEVICE_DELETED";
        case Kind::ended: return "SHUTDOWN";
    }
    return {};
}

// As ShutdownCause in qapi/run-state.json.
std::string_view name_of(VmCause cause) {
    switch (cause) {
        case VmCause::guest_shutdown: return "guest-shutdown";
        case VmCause::guest_reset: return "guest-reset";
        case VmCause::guest_panic: return "guest-panic";
        case VmCause::host_error: return "host-error";
        case VmCause::host_quit: return "host-qmp-quit";
        case VmCause::host_reset: return "host-qmp-system-reset";
        case VmCause::host_signal: return "host-signal";
        case VmCause::host_ui: return "host-ui";
    }
    return {};
}

Json cause_of(VmCause cause) {
    return {{"guest", is_guests(cause)}, {"reason", name_of(cause)}};
}

// How the process is going to end is Banyan's own; the names are as the specification reserves them
// for such (section 6, "Downstream extension").
Json end_of(const VmEvent& event) {
    Json data = cause_of(event.cause);
    data["__org.banyan_status"] = exit_status(*event.outcome);
    data["__org.banyan_message"] = event.outcome->message;
    return data;
}

// Null: QEMU has no data with this one.
Json data_of(const VmEvent& event, const VmConfig& config) {
    switch (event.kind) {
        case Kind::paused:
        case Kind::resumed:
        case Kind::power_button: break;
        case Kind::reset: return cause_of(event.cause);
        case Kind::ended: return end_of(event);
        case Kind::guest_panic: return {{"action", "poweroff"}};
        case Kind::watchdog:
            return {
                {"action", config.watchdog == WatchdogAction::power_off ? "poweroff" : "reset"}};
        case Kind::removed:
            return {{"device", event.device}, {"path", "/machine/peripheral/" + event.device}};
        case Kind::disk_full:
            return {{"device", event.disk},
                    {"operation", "write"},
                    {"action", "stop"},
                    {"nospace", true},
                    {"reason", event.text}};
    }
    return nullptr;
}

}  // namespace

Json event_of(const VmEvent& event, const VmConfig& config, Time now) {
    constexpr int64_t kMicroseconds = 1'000'000;
    Json message;
    message["timestamp"] = {{"seconds", now.count() / kMicroseconds},
                            {"microseconds", now.count() % kMicroseconds}};
    message["event"] = name_of(event.kind);
    if (Json data = data_of(event, config); !data.is_null()) message["data"] = std::move(data);
    return message;
}

}  // namespace banyan::qmp
