#include "manager/vm_actions.hpp"

#include <csignal>
#include <fmt/format.h>
#include <thread>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

using Json = QmpClient::Json;
using ManagerClock = QmpClient::Clock;

constexpr std::chrono::milliseconds kOften{10};
constexpr std::chrono::seconds kTimeToEnd{10};
constexpr QmpClient::Patience kListPatience{2'000};
constexpr QmpClient::Patience kKillPatience{3'000};

std::string socket_of(const RunDirectory& directory, const RunningVm& vm) {
    return fmt::format("{}/{}", directory.path(), vm_file(pid_of(vm), kControl));
}

// False: not in time.
bool wait_until_gone(const RunDirectory& directory, const RunningVm& vm,
                     ManagerClock::time_point limit) {
    while (still_runs(directory, vm)) {
        if (ManagerClock::now() >= limit) return false;
        std::this_thread::sleep_for(kOften);
    }
    return true;
}

// Members of what a VM answers; what is not there is null, or empty.
Json member(const Json& json, std::string_view name) {
    if (!json.is_object()) return nullptr;
    const auto found = json.find(name);
    return found != json.end() ? *found : Json();
}

std::string text_in(const Json& json, std::string_view name) {
    const Json text = member(json, name);
    return text.is_string() ? text.get<std::string>() : std::string();
}

std::string_view state_of(std::string_view run_state) {
    if (run_state == "debug") return "debugged";
    if (run_state == "io-error") return "disk-full";
    return run_state;
}

Result<std::string> ask_state(QmpClient& client) {
    TRY_ASSIGN(status, client.ask("query-status"));
    return std::string(state_of(text_in(status, "status")));
}

VmEnding ending_of(const Json& event) {
    const Json data = member(event, "data");
    const Json status = member(data, "__org.banyan_status");
    return {.status = status.is_number_integer() ? status.get<int>() : 1,
            .reason = text_in(data, "reason"),
            .message = text_in(data, "__org.banyan_message")};
}

// Nothing: not in time.
Result<std::optional<VmEnding>> wait_for_end(QmpClient& client, ManagerClock::time_point limit) {
    for (;;) {
        const auto left = std::chrono::ceil<QmpClient::Patience>(limit - ManagerClock::now());
        if (left.count() <= 0) return std::optional<VmEnding>();
        TRY_ASSIGN(event, client.next_event(left));
        if (event && text_in(*event, "event") == "SHUTDOWN")
            return std::optional(ending_of(*event));
    }
}

// The counts of a drive among those of all.
Json counts_of(const Json& all, const std::string& drive) {
    for (const Json& one : all) {
        if (text_in(one, "device") == drive) return member(one, "stats");
    }
    return nullptr;
}

Result<Json> ask_disks(QmpClient& client) {
    TRY_ASSIGN(drives, client.ask("query-block"));
    TRY_ASSIGN(counts, client.ask("query-blockstats"));
    Json list = Json::array();
    for (const Json& drive : drives) {
        const std::string name = text_in(drive, "device");
        const Json inserted = member(drive, "inserted");
        list.push_back({{"name", name},
                        {"file", text_in(inserted, "file")},
                        {"format", text_in(inserted, "drv")},
                        {"size", member(member(inserted, "image"), "virtual-size")},
                        {"read_only", member(inserted, "ro")},
                        {"counts", counts_of(counts, name)}});
    }
    return list;
}

Result<std::string> ask_console(QmpClient& client) {
    TRY_ASSIGN(all, client.ask("query-chardev"));
    return all.is_array() && !all.empty() ? text_in(all[0], "filename") : std::string();
}

Json published_facts(const RunningVm& vm, std::string_view state) {
    return {{"name", vm["name"]},
            {"pid", vm["pid"]},
            {"state", state},
            {"engine", vm["engine"]},
            {"cpus", vm["vcpus"].size()},
            {"memory", vm["memory"]},
            {"uptime_seconds", vm["seconds"]}};
}

}  // namespace

Result<QmpClient> connect_to(const RunDirectory& directory, const RunningVm& vm,
                             QmpClient::Patience patience) {
    return QmpClient::connect(socket_of(directory, vm), patience);
}

Json summary_of(const RunDirectory& directory, const RunningVm& vm) {
    const auto ask = [&]() -> Result<std::string> {
        TRY_ASSIGN(client, connect_to(directory, vm, kListPatience));
        return ask_state(client);
    };
    const auto state = ask();
    if (state) return published_facts(vm, *state);
    // It is known before it can be asked.
    const bool begins = state.error().code() == ErrorCode::not_found;
    return published_facts(vm, begins ? "starting" : "no-answer");
}

Result<Json> facts_of(const RunDirectory& directory, const RunningVm& vm) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY_ASSIGN(state, ask_state(client));
    TRY_ASSIGN(uuid, client.ask("query-uuid"));
    TRY_ASSIGN(console, ask_console(client));
    TRY_ASSIGN(disks, ask_disks(client));
    // A VM of an older Banyan knows no such command.
    const auto ports = client.ask("__org.banyan_query-published");
    Json facts = published_facts(vm, state);
    facts["uuid"] = text_in(uuid, "UUID");
    facts["control"] = socket_of(directory, vm);
    facts["console"] = console;
    facts["disks"] = std::move(disks);
    facts["published"] = ports ? *ports : Json::array();
    return facts;
}

Result<void> pause_vm(const RunDirectory& directory, const RunningVm& vm) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY(client.ask("stop"));
    return {};
}

Result<void> resume_vm(const RunDirectory& directory, const RunningVm& vm) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY(client.ask("cont"));
    // What it waits for was tried at once; the answer is there soon.
    for (const auto limit = ManagerClock::now() + std::chrono::seconds(1);;) {
        TRY_ASSIGN(state, ask_state(client));
        if (state == "running") return {};
        if (state == "debugged") {
            return fail(ErrorCode::busy,
                        "a debugger has stopped the guest; let it go on from there");
        }
        if (ManagerClock::now() >= limit) {
            return fail(ErrorCode::no_space,
                        "the host has no room for what its disks write; free some: it then goes "
                        "on by itself");
        }
        std::this_thread::sleep_for(kOften);
    }
}

Result<void> reset_vm(const RunDirectory& directory, const RunningVm& vm) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY(client.ask("system_reset"));
    return {};
}

namespace {

Result<void> change_port(const RunDirectory& directory, const RunningVm& vm,
                         std::string_view command, const std::string& port) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY(client.ask(command, {{"port", port}}));
    return {};
}

}  // namespace

Result<void> publish_port(const RunDirectory& directory, const RunningVm& vm,
                          const std::string& port) {
    return change_port(directory, vm, "__org.banyan_publish", port);
}

Result<void> unpublish_port(const RunDirectory& directory, const RunningVm& vm,
                            const std::string& port) {
    return change_port(directory, vm, "__org.banyan_unpublish", port);
}

Result<void> capture_card(const RunDirectory& directory, const RunningVm& vm, unsigned card,
                          const std::string& socket) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY(client.ask("__org.banyan_capture", {{"card", card}, {"socket", socket}}));
    return {};
}

Result<void> set_net_rate(const RunDirectory& directory, const RunningVm& vm, unsigned card,
                          uint64_t bytes_per_second) {
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY(client.ask("__org.banyan_set-net-rate",
                   {{"card", card}, {"bytes-per-second", bytes_per_second}}));
    return {};
}

Result<VmEnding> power_off_vm(const RunDirectory& directory, const RunningVm& vm,
                              std::chrono::seconds limit) {
    const auto deadline = ManagerClock::now() + limit;
    TRY_ASSIGN(client, connect_to(directory, vm));
    TRY_ASSIGN(state, ask_state(client));
    if (state != "running") {
        return fail(ErrorCode::busy,
                    fmt::format("it is {}, and sees no power button; resume it first, or end it by "
                                "banyan kill",
                                state));
    }
    TRY(client.ask("system_powerdown"));
    TRY_ASSIGN(ending, wait_for_end(client, deadline));
    if (!ending) {
        return fail(ErrorCode::busy,
                    fmt::format("the guest did not power off within {} s after its power button "
                                "was pressed; wait longer (--timeout), or end it by banyan kill",
                                limit.count()));
    }
    wait_until_gone(directory, vm, ManagerClock::now() + kTimeToEnd);
    return *ending;
}

Result<VmEnding> wait_for_vm(const RunDirectory& directory, const RunningVm& vm) {
    constexpr std::chrono::hours kAtATime{1};
    TRY_ASSIGN(client, connect_to(directory, vm));
    for (;;) {
        auto ending = wait_for_end(client, ManagerClock::now() + kAtATime);
        if (!ending) {
            return fail(ErrorCode::io, "its process ended without a word; it may have been killed");
        }
        if (!*ending) continue;
        wait_until_gone(directory, vm, ManagerClock::now() + kTimeToEnd);
        return **ending;
    }
}

Result<void> kill_vm(const RunDirectory& directory, const RunningVm& vm) {
    const auto ask = [&]() -> Result<void> {
        TRY_ASSIGN(client, connect_to(directory, vm, kKillPatience));
        TRY(client.ask("quit"));
        return {};
    };
    if (ask() && wait_until_gone(directory, vm, ManagerClock::now() + kTimeToEnd)) return {};
    if (!still_runs(directory, vm)) return {};
    if (::kill(pid_of(vm), SIGKILL) != 0)
        return host_fail(errno, "end its process", "ask for the right to");
    if (wait_until_gone(directory, vm, ManagerClock::now() + kTimeToEnd)) {
        (void)running_vms(directory);  // removes what it has left
        return {};
    }
    return fail(ErrorCode::busy,
                "its process does not end; it may wait for a disk of the host's that is stuck");
}

}  // namespace banyan
