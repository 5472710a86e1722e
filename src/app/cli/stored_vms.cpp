#include "app/cli/stored_vms.hpp"

#include <charconv>
#include <chrono>
#include <fmt/format.h>
#include <thread>

#include "app/cli/option_values.hpp"
#include "app/cli/run_command.hpp"
#include "app/cli/vm_text.hpp"
#include "host/posix/host_error.hpp"
#include "manager/vm_actions.hpp"

namespace banyan {

namespace {

using StoredJson = nlohmann::ordered_json;

constexpr int kCrashStatus = 3;
constexpr int kEndedStatus = 4;

// What a definition of another version means is not known: nothing then.
std::optional<RunPlan> plan_of(const StoredVm& vm) {
    const auto definition = from_stored(vm.definition);
    if (!definition) return {};
    const auto options = run_options_of(vm.definition.name, definition->options);
    auto plan = options ? make_plan(*options) : tl::unexpected(options.error());
    return plan ? std::optional(std::move(*plan)) : std::nullopt;
}

std::string engine_of(const StoredVm& vm) {
    const auto definition = from_stored(vm.definition);
    return definition ? definition->options.value("engine", "auto") : "auto";
}

StoredJson last_of(const StoredVm& vm) {
    if (!vm.last) return nullptr;
    return {{"status", vm.last->status},
            {"reason", vm.last->reason},
            {"message", vm.last->message},
            {"when", vm.last->when}};
}

}  // namespace

std::string_view state_of(const StoredVm& vm) {
    if (vm.process) return "starting";
    if (!vm.last) return "created";
    if (vm.last->reason == kProcessKilled || vm.last->reason == kHostRestarted) return "killed";
    if (vm.last->status == kCrashStatus) return "crashed";
    return vm.last->status == 0 || vm.last->status == kEndedStatus ? "stopped" : "failed";
}

StoredJson summary_of(const StoredVm& vm) {
    const auto plan = plan_of(vm);
    return {{"name", vm.definition.name},
            {"pid", vm.process ? StoredJson(static_cast<unsigned>(vm.process->pid)) : StoredJson()},
            {"state", state_of(vm)},
            {"engine", engine_of(vm)},
            {"cpus", plan ? plan->config.cpus : 0U},
            {"memory", plan ? plan->config.memory : uint64_t{0}},
            {"uptime_seconds", nullptr},
            {"last", last_of(vm)}};
}

StoredJson stored_facts(const StoredVm& vm) {
    const auto definition = from_stored(vm.definition);
    return {{"restart", name_of(vm.definition.restart)},
            {"autostart", vm.definition.autostart},
            {"directory", vm.definition.directory},
            {"options", definition ? definition->options : StoredJson()},
            {"created", vm.created},
            {"started", vm.started},
            {"last", last_of(vm)}};
}

std::string last_text(const StoredVm& vm) {
    if (!vm.last) return {};
    return ending_text({vm.last->status, vm.last->reason, vm.last->message});
}

std::string stored_text(const StoredVm& vm) {
    std::string text = fmt::format("restart: {}\nautostart: {}\n", name_of(vm.definition.restart),
                                   vm.definition.autostart ? "yes" : "no");
    if (vm.last) text += fmt::format("last: {}\n", last_text(vm));
    return text;
}

Result<StoredVm> find_stored(std::string_view command, const std::string& name) {
    if (!VmStore::is_there()) {
        return fail(ErrorCode::not_found,
                    fmt::format("{} {}: no VM is kept; make one by banyan create", command,
                                quote_name(name)));
    }
    TRY_ASSIGN(store, VmStore::open());
    return store->find(command, name);
}

int64_t stored_id(const std::string& directory) {
    const std::string name = directory.substr(directory.rfind('/') + 1);
    int64_t id = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    return error == std::errc{} && end == name.data() + name.size() ? id : 0;
}

// Without the store nobody starts it again either.
void let_it_end(const std::string& stored) {
    if (stored.empty()) return;
    if (const auto store = VmStore::open_at(stored.substr(0, stored.rfind('/'))))
        (void)(*store)->set_wanted(stored_id(stored), false);
}

void wait_for_process(const VmProcess& process) {
    constexpr std::chrono::milliseconds kPause{10};
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (is_alive(process) && std::chrono::steady_clock::now() < limit)
        std::this_thread::sleep_for(kPause);
}

Result<void> end_stored_vm(const RunDirectory& directory, const VmStore& store,
                           const StoredVm& vm) {
    TRY(store.set_wanted(vm.id, false));
    if (!vm.process) return {};
    for (const RunningVm& running : running_vms(directory)) {
        if (pid_of(running) == vm.process->pid) TRY(kill_vm(directory, running));
    }
    // One that begins cannot be asked yet.
    kill_process(*vm.process);
    wait_for_process(*vm.process);
    (void)running_vms(directory);  // removes what it has left
    return {};
}

}  // namespace banyan
