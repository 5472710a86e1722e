// What is done to the devices of one running VM.
#include <fmt/format.h>

#include "manager/vm_actions.hpp"

namespace banyan {

namespace {

using Json = QmpClient::Json;
using ManagerClock = QmpClient::Clock;

bool says_that_it_has_gone(const Json& event, const std::string& id) {
    const auto kind = event.find("event");
    const auto data = event.find("data");
    if (kind == event.end() || *kind != "DEVICE_DELETED") return false;
    return data != event.end() && data->is_object() && data->contains("device") &&
           (*data)["device"] == id;
}

// False: not in time.
Result<bool> wait_until_device_has_gone(QmpClient& client, const std::string& id,
                                        ManagerClock::time_point limit) {
    for (;;) {
        const auto left = std::chrono::ceil<QmpClient::Patience>(limit - ManagerClock::now());
        if (left.count() <= 0) return false;
        TRY_ASSIGN(event, client.next_event(left));
        if (event && says_that_it_has_gone(*event, id)) return true;
    }
}

// A guest that stands still answers nothing.
Result<void> check_that_it_runs(QmpClient& client) {
    TRY_ASSIGN(status, client.ask("query-status"));
    if (status.is_object() && status.value("running", false)) return {};
    return fail(ErrorCode::busy,
                "its guest stands still and cannot let go of a device; resume it first");
}

}  // namespace

Result<std::string> add_device(const RunDirectory& directory, const RunningVm& vm,
                               const Json& device) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY_ASSIGN(added, client.ask("__org.banyan_device-add", device));
    return added.is_object() ? added.value("id", std::string()) : std::string();
}

Result<void> remove_device(const RunDirectory& directory, const RunningVm& vm,
                           const std::string& id, std::chrono::seconds limit) {
    const auto deadline = ManagerClock::now() + limit;
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY(check_that_it_runs(client));
    TRY(client.ask("device_del", {{"id", id}}));
    TRY_ASSIGN(gone, wait_until_device_has_gone(client, id, deadline));
    if (gone) return {};
    return fail(ErrorCode::busy,
                fmt::format("the guest has not let go of {} within {} s; it may be in use, or its "
                            "system knows nothing of hot-plug. It is still asked to, and goes at "
                            "the next reboot at the latest",
                            id, limit.count()));
}

Result<Json> devices_of(const RunDirectory& directory, const RunningVm& vm) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    return client.ask("__org.banyan_query-devices");
}

Result<void> resize_disk(const RunDirectory& directory, const RunningVm& vm,
                         const std::string& name, uint64_t bytes) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY(client.ask("block_resize", {{"device", name}, {"size", bytes}}));
    return {};
}

}  // namespace banyan
