#include "app/cli/vm_commands.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <fmt/format.h>
#include <functional>

#include "app/cli/cli.hpp"
#include "app/cli/console_command.hpp"
#include "app/cli/event_stream.hpp"
#include "app/cli/print.hpp"
#include "app/cli/stored_vms.hpp"
#include "app/cli/values.hpp"
#include "app/cli/vm_text.hpp"
#include "app/definition/toml_file.hpp"
#include "backends/net/published_port.hpp"
#include "host/linux/memory_limits.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"
#include "manager/vm_actions.hpp"

namespace banyan {

namespace {

using Json = nlohmann::ordered_json;
using VmOptions = VmCommandOptions;

constexpr uint64_t kUsualTimeout = 60;
constexpr uint64_t kLongestTimeout = 1'000'000;

// "what: why" of an action that names no VM itself.
int fail_with(std::string_view command, const VmOptions& o, const Error& error) {
    print_message(fmt::format("{} {}: {}", command, quote_name(o.vm), error.text()));
    return kStatusFailed;
}

// Those that do not run, or cannot be seen yet.
Result<void> add_stored(const std::vector<RunningVm>& running, Json& list) {
    if (!VmStore::is_there()) return {};
    TRY_ASSIGN(store, VmStore::open());
    TRY_ASSIGN(all, store->all());
    for (const StoredVm& vm : all) {
        const bool is_listed = std::ranges::any_of(running, [&](const RunningVm& other) {
            return vm.process && pid_of(other) == vm.process->pid;
        });
        if (!is_listed) list.push_back(summary_of(vm));
    }
    return {};
}

int list_vms(const RunDirectory& directory, const VmOptions& o) {
    Json all = Json::array();
    const std::vector<RunningVm> running = running_vms(directory);
    for (const RunningVm& vm : running)
        all.push_back(summary_of(directory, vm));
    if (o.all) {
        const auto added = add_stored(running, all);
        if (!added) return print_error(added.error());
    }
    return print_output(o.json ? json_text(all) : list_text(all));
}

// Finds the VM, and does `action` to it.
template <class Action>
int with_one(const RunDirectory& directory, std::string_view command, const VmOptions& o,
             Action action) {
    const auto vm = find_vm(directory, command, o.vm);
    if (!vm) return print_error(vm.error());
    return action(*vm);
}

// Nothing: it is not stored.
std::optional<StoredVm> stored_part_of(const RunningVm& vm) {
    if (stored_directory(vm).empty()) return {};
    const auto stored = find_stored("show", vm["name"].get<std::string>());
    return stored ? std::optional(*stored) : std::nullopt;
}

int show_running(const RunDirectory& directory, const VmOptions& o, const RunningVm& vm) {
    auto facts = facts_of(directory, vm);
    if (!facts) return fail_with("show", o, facts.error());
    const auto stored = stored_part_of(vm);
    if (!o.json) return print_output(show_text(*facts) + (stored ? stored_text(*stored) : ""));
    if (stored) facts->update(stored_facts(*stored));
    return print_output(json_text(*facts));
}

int show_stopped(const VmOptions& o, const StoredVm& vm) {
    Json facts = summary_of(vm);
    facts.update(stored_facts(vm));
    return print_output(o.json ? json_text(facts) : stopped_text(facts) + stored_text(vm));
}

int show_toml(const VmOptions& o) {
    const auto stored = find_stored("show", o.vm);
    if (!stored) return print_error(stored.error());
    const auto definition = from_stored(stored->definition);
    return definition ? print_output(to_toml(*definition)) : print_error(definition.error());
}

int show(const RunDirectory& directory, const VmOptions& o) {
    if (o.toml) return show_toml(o);
    const auto vm = find_vm(directory, "show", o.vm);
    if (vm) return show_running(directory, o, *vm);
    const auto stored = find_stored("show", o.vm);
    return stored ? show_stopped(o, *stored) : print_error(vm.error());
}

// A stored VM that was ended on purpose stays so, and is at once ready to start again.
template <class Action>
auto end_on_purpose(const RunningVm& vm, Action action) {
    let_it_end(stored_directory(vm));
    const auto process = find_process(pid_of(vm));
    auto done = action();
    if (done && process && !stored_directory(vm).empty()) wait_for_process(*process);
    return done;
}

int kill(const RunDirectory& directory, std::string_view command, const VmOptions& o) {
    return with_one(directory, command, o, [&](const RunningVm& vm) {
        const auto done = end_on_purpose(vm, [&] { return kill_vm(directory, vm); });
        return done ? 0 : fail_with(command, o, done.error());
    });
}

// An action of the manager's that says nothing when it is done.
template <auto kAction>
int act(const RunDirectory& directory, std::string_view command, const VmOptions& o) {
    return with_one(directory, command, o, [&](const RunningVm& vm) {
        const auto done = kAction(directory, vm);
        return done ? 0 : fail_with(command, o, done.error());
    });
}

int stop(const RunDirectory& directory, const VmOptions& o) {
    if (o.force) return kill(directory, "stop --force", o);
    uint64_t seconds = kUsualTimeout;
    if (!o.timeout.empty()) {
        const auto given = parse_number("--timeout", o.timeout, kLongestTimeout);
        if (!given) {
            print_message(given.error().text());
            return kStatusUsage;
        }
        seconds = *given;
    }
    return with_one(directory, "stop", o, [&](const RunningVm& vm) {
        const auto ending = end_on_purpose(
            vm, [&] { return power_off_vm(directory, vm, std::chrono::seconds(seconds)); });
        if (!ending) return fail_with("stop", o, ending.error());
        print_message(fmt::format("stop {}: {}", quote_name(o.vm), ending_text(*ending)));
        return 0;
    });
}

int print_ending(int status, const std::string& message) {
    if (!message.empty()) print_message(message);
    return print_output(fmt::format("{}\n", status));
}

// One after the other; those before one that fails stay done.
template <auto kChange>
int change_ports(const RunDirectory& directory, std::string_view command, const VmOptions& o) {
    std::vector<std::string> ports;
    for (const std::string& text : o.ports) {
        const auto port = parse_published_port(command, text);
        if (!port) {
            print_message(port.error().text());
            return kStatusUsage;
        }
        ports.push_back(to_text(*port));
    }
    return with_one(directory, command, o, [&](const RunningVm& vm) {
        for (const std::string& port : ports) {
            const auto changed = kChange(directory, vm, port);
            if (!changed) return print_error(changed.error());
        }
        return 0;
    });
}

// A stored VM may have ended already.
int wait(const RunDirectory& directory, const VmOptions& o) {
    const auto vm = find_vm(directory, "wait", o.vm);
    if (vm) {
        const auto ending = wait_for_vm(directory, *vm);
        if (!ending) return fail_with("wait", o, ending.error());
        return print_ending(ending->status, ending->message);
    }
    const auto stored = find_stored("wait", o.vm);
    if (!stored || stored->process || !stored->last) return print_error(vm.error());
    return print_ending(stored->last->status, stored->last->message);
}

struct VmCommand {
    const char* name;
    const char* text;
    enum class Vm : uint8_t { none, optional, required } vm;
    const char* examples;
    std::function<int(const RunDirectory&, const VmOptions&)> run;
};

const std::vector<VmCommand>& vm_commands() {
    using Vm = VmCommand::Vm;
    using D = const RunDirectory&;
    using O = const VmOptions&;
    static const std::vector<VmCommand> kCommands{
        {"list", "the VMs that run", Vm::none,
         "banyan list\n  banyan list -a\n  banyan list --json", list_vms},
        {"show", "all that is known of a VM", Vm::required,
         "banyan show debian\n  banyan show debian --json\n  banyan show --toml debian", show},
        {"stop", "press a VM's power button, and wait until it is off", Vm::required,
         "banyan stop debian\n  banyan stop debian --timeout 300\n  banyan stop debian --force",
         stop},
        {"kill", "end a VM at once, as if its power failed", Vm::required, "banyan kill debian",
         [](D d, O o) { return kill(d, "kill", o); }},
        {"reset", "press a VM's reset button", Vm::required, "banyan reset debian",
         [](D d, O o) { return act<reset_vm>(d, "reset", o); }},
        {"pause", "let a VM and its time stand still", Vm::required, "banyan pause debian",
         [](D d, O o) { return act<pause_vm>(d, "pause", o); }},
        {"resume", "let it go on; also when it stands still for a full disk of the host's",
         Vm::required, "banyan resume debian",
         [](D d, O o) { return act<resume_vm>(d, "resume", o); }},
        {"console", "the console of a VM that runs in the background; Ctrl-] leaves", Vm::required,
         "banyan console debian",
         [](D d, O o) {
             return attach_console(d, o.vm) == ConsoleEnd::failed ? kStatusFailed : 0;
         }},
        {"logs", "what the console of a VM in the background has shown", Vm::required,
         "banyan logs debian\n  banyan logs -f debian\n  banyan logs --messages debian",
         [](D d, O o) {
             return print_log(d, o.vm, {o.follow, o.messages});
         }},
        {"events", "what becomes of a VM, or of all, as it happens", Vm::optional,
         "banyan events\n  banyan events debian --json",
         [](D d, O o) { return print_events(d, o.vm, o.json); }},
        {"publish", "lead ports of this host to the guest, as --publish does", Vm::required,
         "banyan publish debian 2222:22\n  banyan publish debian 0.0.0.0:8080:80 5353:53/udp",
         [](D d, O o) { return change_ports<publish_port>(d, "publish", o); }},
        {"unpublish", "end that; connections that are open stay", Vm::required,
         "banyan unpublish debian 2222:22",
         [](D d, O o) { return change_ports<unpublish_port>(d, "unpublish", o); }},
        {"wait", "wait until a VM has ended, and print the exit status of its process",
         Vm::required, "banyan wait debian", wait},
    };
    return kCommands;
}

void add_flags(CLI::App& command, const std::string& name, VmOptions& o) {
    if (name == "list" || name == "show" || name == "events")
        command.add_flag("--json", o.json, "as JSON");
    if (name == "list") command.add_flag("-a,--all", o.all, "and those that are kept");
    if (name == "show")
        command.add_flag("--toml", o.toml, "how it was created, for banyan create -f");
    if (name == "stop") {
        command
            .add_option("-t,--timeout", o.timeout,
                        "how long it may take; default 60. After that the VM runs on, and the "
                        "exit status is 1")
            ->type_name("SECONDS");
        command.add_flag("-f,--force", o.force, "at once, as banyan kill does");
    }
    if (name == "publish" || name == "unpublish") {
        command.add_option("ports", o.ports, "without an address only this host reaches the guest")
            ->type_name("[ADDR:]HOSTPORT:GUESTPORT[/udp]")
            ->required();
    }
    if (name == "logs") {
        command.add_flag("-f,--follow", o.follow, "go on until the VM ends");
        command.add_flag("--messages", o.messages, "what Banyan itself has to say of it");
    }
}

}  // namespace

void add_vm_commands(CLI::App& app, VmCommandOptions& options) {
    for (const VmCommand& one : vm_commands()) {
        CLI::App& command = *app.add_subcommand(one.name, one.text);
        if (one.vm != VmCommand::Vm::none) {
            command.add_option("vm", options.vm, "its name or process number")
                ->type_name("NAME|PID")
                ->required(one.vm == VmCommand::Vm::required);
        }
        add_flags(command, one.name, options);
        command.footer(fmt::format("Examples:\n  {}", one.examples));
    }
}

bool is_vm_command(const std::string& name) {
    const auto& all = vm_commands();
    return std::any_of(all.begin(), all.end(),
                       [&](const VmCommand& one) { return one.name == name; });
}

int run_vm_command(const std::string& name, const VmCommandOptions& options) {
    const auto directory = RunDirectory::open();
    if (!directory) return print_error(directory.error());
    for (const VmCommand& one : vm_commands()) {
        if (one.name == name) return one.run(*directory, options);
    }
    return kStatusUsage;
}

}  // namespace banyan
