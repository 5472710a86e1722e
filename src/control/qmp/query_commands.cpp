// Commands that ask for facts of the VM (QEMU's qapi/control.json, machine.json, run-state.json).
#include <fmt/format.h>

#include "control/qmp/server.hpp"

namespace banyan::qmp {

namespace {

// As RunState in qapi/run-state.json.
std::string_view run_state_of(VmState state) {
    switch (state) {
        case VmState::created: return "prelaunch";
        case VmState::running: return "running";
        case VmState::paused: return "paused";
        case VmState::debugged: return "debug";
        case VmState::disk_full: return "io-error";
        case VmState::ended: return "shutdown";
    }
    return {};
}

Json status_of(VmState state) {
    return {{"running", state == VmState::running},
            {"singlestep", false},
            {"status", run_state_of(state)}};
}

std::string text_of(const std::array<uint8_t, 16>& uuid) {
    std::string text;
    for (size_t i = 0; i < uuid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += fmt::format("{:02x}", uuid[i]);
    }
    return text;
}

Json cpus_of(const VmApi& vm) {
    Json list = Json::array();
    const std::vector<int> threads = vm.vcpu_threads();
    for (size_t i = 0; i < threads.size(); ++i) {
        list.push_back({{"cpu-index", i},
                        {"qom-path", fmt::format("/machine/unattached/device[{}]", i)},
                        {"thread-id", threads[i]},
                        {"target", "x86_64"}});
    }
    return list;
}

std::string place_of_console(const VmApi& vm) {
    const ConsoleChoice& console = vm.config().console;
    switch (console.kind) {
        case ConsoleKind::none: break;
        case ConsoleKind::stdio: return "stdio";
        case ConsoleKind::pty: return fmt::format("pty:{}", vm.console_place());
        case ConsoleKind::file: return fmt::format("file:{}", console.path);
        case ConsoleKind::socket: return fmt::format("unix:{},server=on", console.path);
    }
    return "null";
}

Json chardevs_of(const VmApi& vm) {
    Json serial{{"label", "serial0"},
                {"filename", place_of_console(vm)},
                {"frontend-open", vm.config().console.kind != ConsoleKind::none}};
    return Json::array({std::move(serial)});
}

Json names_of(const Commands& commands) {
    Json list = Json::array({{{"name", "qmp_capabilities"}}});
    for (const std::string_view name : commands.names())
        list.push_back({{"name", name}});
    return list;
}

}  // namespace

void add_query_commands(Commands& commands, const VmApi& vm, std::string version) {
    const auto add = [&](std::string_view name, std::function<Json()> facts) {
        commands.add({.name = name, .run = [facts = std::move(facts)](const Arguments&) -> Answer {
                          return facts();
                      }});
    };
    add("query-version", [version = std::move(version)] { return version_facts(version); });
    add("query-commands", [&commands] { return names_of(commands); });
    add("query-status", [&vm] { return status_of(vm.state()); });
    add("query-name", [&vm]() -> Json { return {{"name", vm.config().name}}; });
    add("query-uuid", [&vm]() -> Json { return {{"UUID", text_of(vm.uuid())}}; });
    // This program can always use it where the host has it.
    add("query-kvm", [&vm]() -> Json {
        return {{"enabled", vm.engine_name() == "kvm"}, {"present", true}};
    });
    add("query-cpus-fast", [&vm] { return cpus_of(vm); });
    add("query-chardev", [&vm] { return chardevs_of(vm); });
    add("query-memory-size-summary", [&vm]() -> Json {
        return {{"base-memory", vm.config().memory}, {"plugged-memory", 0}};
    });
}

}  // namespace banyan::qmp
