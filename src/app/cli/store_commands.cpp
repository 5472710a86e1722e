#include "app/cli/store_commands.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>

#include "app/cli/cli.hpp"
#include "app/cli/console_command.hpp"
#include "app/cli/definition_file.hpp"
#include "app/cli/option_values.hpp"
#include "app/cli/print.hpp"
#include "app/cli/run_command.hpp"
#include "app/cli/stored_start.hpp"
#include "app/cli/stored_vms.hpp"
#include "app/cli/supervise.hpp"
#include "app/cli/values.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"
#include "manager/vm_actions.hpp"

namespace banyan {

namespace {

using StoreOptions = StoreCommandOptions;

// What makes no sense is wrong usage; what the host or the store says is a failure.
int store_result(const Result<void>& result) {
    if (result) return 0;
    const bool is_usage = result.error().code() == ErrorCode::invalid_argument;
    return print_error(result.error(), is_usage ? kStatusUsage : kStatusFailed);
}

void merge(OptionValues& into, const OptionValues& from) {
    for (const auto& [name, value] : from.items())
        into[name] = value;
}

Result<void> take_image(const std::vector<std::string>& extra, OptionValues& values) {
    if (extra.empty()) return {};
    TRY_ASSIGN(option, option_of_image("create", extra));
    OptionValues& place = values[option];
    if (!place.is_array()) place = OptionValues::array();
    place.insert(place.begin(), extra.front());
    return {};
}

Result<void> take_life(const StoreOptions& o, VmDefinition& definition) {
    if (!o.restart.empty()) {
        TRY_ASSIGN(policy, parse_restart("--restart", o.restart));
        definition.restart = policy;
    }
    if (!o.autostart.empty()) {
        TRY_ASSIGN(autostart, parse_switch("--autostart", o.autostart));
        definition.autostart = autostart;
    }
    if (!o.directory.empty()) definition.directory = std::filesystem::absolute(o.directory);
    return {};
}

// Before it is kept: as `banyan run` would take it.
Result<void> check(const VmDefinition& definition) {
    TRY_ASSIGN(options,
               run_options_of("the VM " + quote_name(definition.name), definition.options));
    options.name = definition.name;
    options.detach = true;
    TRY(make_plan(options));
    return {};
}

Result<VmDefinition> definition_to_begin_with(const StoreOptions& o) {
    if (!o.file.empty()) return read_definition(o.file);
    if (!o.libvirt.empty()) return read_libvirt_definition(o.libvirt);
    VmDefinition definition;
    definition.directory = std::filesystem::current_path();
    return definition;
}

Result<void> create(const CLI::App& command, const StoreOptions& o) {
    TRY_ASSIGN(definition, definition_to_begin_with(o));
    if (!o.vm.empty()) definition.name = o.vm;
    if (definition.name.empty()) {
        return fail(ErrorCode::invalid_argument,
                    "wrong usage: the VM has no name; see banyan create --help");
    }
    merge(definition.options, given_run_options(command));
    TRY(take_image(command.remaining(), definition.options));
    TRY(take_life(o, definition));
    TRY(check(definition));
    TRY_ASSIGN(store, VmStore::open());
    TRY(store->create(to_stored(definition)));
    print_output(definition.name + "\n");
    return {};
}

// What a VM may use of its host can be changed while it runs; all else is looked at when it starts.
bool are_of_resources(const OptionValues& given) {
    constexpr std::array<std::string_view, 7> kNames{
        "pool",        "shares", "reservation", "limit", "memory-shares", "memory-reservation",
        "memory-limit"};
    return std::ranges::all_of(given.items(), [&](const auto& option) {
        return std::ranges::find(kNames, option.key()) != kNames.end();
    });
}

Result<void> set_running(const RunDirectory& directory, const RunningVm& vm,
                         const StoreOptions& o) {
    TRY_ASSIGN(arguments, resource_arguments(o.run.resources));
    const auto ask = [&]() -> Result<void> {
        TRY_ASSIGN(client, connect_to(directory, vm));
        TRY(client.ask("__org.banyan_set-resources", arguments));
        return {};
    };
    const auto done = ask();
    if (done) return {};
    // Not wrong usage, whatever it is: the VM looks at what it is and at what others have.
    return fail(ErrorCode::busy, fmt::format("set {}: {}", quote_name(o.vm), done.error().text()));
}

Result<void> set(const CLI::App& command, const StoreOptions& o) {
    if (!command.remaining().empty()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("wrong usage: {}: that is no option; see banyan set --help",
                                quote_name(command.remaining().front())));
    }
    const OptionValues given = given_run_options(command);
    const bool is_of_life = !o.restart.empty() || !o.autostart.empty() || !o.directory.empty();
    if (given.empty() && o.unset.empty() && !is_of_life) {
        return fail(ErrorCode::invalid_argument,
                    "wrong usage: nothing to change; see banyan set --help");
    }
    const bool is_live = !given.empty() && o.unset.empty() && are_of_resources(given);
    TRY_ASSIGN(directory, RunDirectory::open());
    const auto running = find_vm(directory, "set", o.vm);
    if (is_live && running) {
        TRY(set_running(directory, *running, o));
        if (stored_directory(*running).empty()) return {};
    }
    const auto when = is_live ? VmStore::While::running : VmStore::While::stopped;
    const std::string kept = running ? (*running)["name"].get<std::string>() : o.vm;
    TRY_ASSIGN(store, VmStore::open());
    const auto change = [&](StoredDefinition& stored) -> Result<void> {
        TRY_ASSIGN(definition, from_stored(stored));
        for (const std::string& name : o.unset) {
            if (definition.options.erase(name) != 0) continue;
            return fail(ErrorCode::invalid_argument,
                        fmt::format("--unset {}: the VM has no such option; see banyan show {}",
                                    quote_name(name), stored.name));
        }
        merge(definition.options, given);
        TRY(take_life(o, definition));
        TRY(check(definition));
        stored = to_stored(definition);
        return {};
    };
    return store->change("set", kept, change, when);
}

Result<void> rename(const CLI::App&, const StoreOptions& o) {
    TRY_ASSIGN(store, VmStore::open());
    return store->change("rename", o.vm, [&](StoredDefinition& stored) -> Result<void> {
        stored.name = o.new_name;
        return {};
    });
}

Result<void> remove(const CLI::App&, const StoreOptions& o) {
    TRY_ASSIGN(store, VmStore::open());
    if (!o.force) return store->remove("remove", o.vm);
    TRY_ASSIGN(directory, RunDirectory::open());
    // Another command may start it meanwhile; nobody does so for ever.
    constexpr int kAttempts = 10;
    for (int attempt = 1;; ++attempt) {
        TRY_ASSIGN(vm, store->find("remove", o.vm));
        TRY(end_stored_vm(directory, *store, vm));
        const auto removed = store->remove("remove", o.vm);
        if (removed || removed.error().code() != ErrorCode::busy || attempt == kAttempts)
            return removed;
    }
}

// The status of its end, which the store knows by now.
int status_of_end(const std::string& name) {
    const auto store = VmStore::open();
    const auto vm = store ? (*store)->find("start", name) : tl::unexpected(store.error());
    if (!vm) return print_error(vm.error());
    if (vm->process) wait_for_process(*vm->process);
    const auto ended = (*store)->find("start", name);
    if (!ended) return print_error(ended.error());
    return ended->last && !ended->process ? ended->last->status : 0;
}

int start(const CLI::App&, const StoreOptions& o) {
    const StoredStart started = start_stored_vm(o.vm);
    if (started.is_vm || started.status != 0 || !o.attach) return started.status;
    const auto directory = RunDirectory::open();
    if (!directory) return print_error(directory.error());
    switch (attach_console(*directory, o.vm)) {
        case ConsoleEnd::left: return 0;
        case ConsoleEnd::vm_ended: return status_of_end(o.vm);
        case ConsoleEnd::failed: return kStatusFailed;
    }
    return kStatusFailed;
}

int keep_running(const CLI::App&, const StoreOptions& o) {
    return o.print_unit ? print_output(supervise_unit()) : supervise();
}

// What a function without a status of its own ends with.
template <auto kFunction>
int run_store_function(const CLI::App& command, const StoreOptions& o) {
    return store_result(kFunction(command, o));
}

struct StoreCommand {
    const char* name;
    const char* text;
    const char* examples;
    int (*run)(const CLI::App&, const StoreOptions&);
};

constexpr std::array<StoreCommand, 6> kStoreCommands{{
    {"create", "keep a VM under a name, to be started when it is wanted",
     "banyan create debian debian.qcow2 --memory 1G\n"
     "  banyan create web --kernel vmlinuz --initrd initrd.img --append console=ttyS0 "
     "--restart on-failure\n"
     "  banyan create -f debian.toml\n"
     "  banyan create --libvirt debian.xml",
     run_store_function<create>},
    {"start", "start a VM that is kept, in the background",
     "banyan start debian\n  banyan start debian --attach", start},
    {"remove", "keep a VM no longer; its disks stay",
     "banyan remove debian\n  banyan remove -f debian", run_store_function<remove>},
    {"rename", "give a VM that is kept another name", "banyan rename debian bookworm",
     run_store_function<rename>},
    {"set", "change the options of a VM: while it runs what it may use of this host",
     "banyan set debian --memory 2G --cpus 4\n  banyan set debian --unset disk\n"
     "  banyan set debian --restart always --autostart on\n"
     "  banyan set debian --pool web --shares 2000 --limit 50% --memory-limit 1G",
     run_store_function<set>},
    {"supervise", "start VMs by themselves, and again when they end, as their options say",
     "banyan supervise\n"
     "  banyan supervise --print-unit > ~/.config/systemd/user/banyan.service",
     keep_running},
}};

void add_definition_options(CLI::App& command, StoreOptions& o) {
    add_run_options(command, o.run);
    // The name is the command's own, and these are of one run.
    for (const char* const option : {"--name", "--detach", "--rm"})
        command.remove_option(command.get_option(option));
    command
        .add_option("--restart", o.restart,
                    "when banyan supervise starts it again: no, on-failure or always; default no")
        ->type_name("POLICY");
    command
        .add_option("--autostart", o.autostart,
                    "banyan supervise starts it when it begins: on or off; default off")
        ->type_name("SWITCH");
    command
        .add_option("--directory", o.directory,
                    "what names of files are relative to; default: the current directory")
        ->type_name("DIR");
}

void add_arguments(CLI::App& command, StoreOptions& o) {
    const std::string name = command.get_name();
    const bool creates = name == "create";
    if (name == "supervise") {
        command.add_flag("--print-unit", o.print_unit,
                         "print a unit for systemd that does this, and end");
        return;
    }
    command.add_option("vm", o.vm, "its name")->type_name("NAME")->required(!creates);
    if (creates || name == "set") add_definition_options(command, o);
    if (creates) {
        CLI::Option* const file =
            command
                .add_option("-f,--file", o.file,
                            "a definition as banyan show --toml writes it; options that are given "
                            "here replace those in it")
                ->type_name("FILE");
        command
            .add_option("--libvirt", o.libvirt,
                        "the same of a libvirt domain, as virsh dumpxml writes it; says what of it "
                        "does not map")
            ->type_name("FILE")
            ->excludes(file);
    }
    if (name == "set") {
        command.add_option("--unset", o.unset, "an option that it is to have no more; repeatable")
            ->type_name("OPTION")
            ->expected(1)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
    if (name == "rename")
        command.add_option("new", o.new_name, "the new one")->type_name("NEWNAME")->required();
    if (name == "remove") command.add_flag("-f,--force", o.force, "end it first, if it runs");
    if (name == "start")
        command.add_flag("-a,--attach", o.attach, "and go to its console; Ctrl-] leaves");
}

}  // namespace

void add_store_commands(CLI::App& app, StoreCommandOptions& options) {
    for (const StoreCommand& one : kStoreCommands) {
        CLI::App& command = *app.add_subcommand(one.name, one.text);
        add_arguments(command, options);
        command.footer(fmt::format("Examples:\n  {}", one.examples));
    }
}

bool is_store_command(const std::string& name) {
    return std::ranges::any_of(kStoreCommands,
                               [&](const StoreCommand& one) { return one.name == name; });
}

int run_store_command(const CLI::App& command, const StoreCommandOptions& options) {
    for (const StoreCommand& one : kStoreCommands) {
        if (command.get_name() == one.name) return one.run(command, options);
    }
    return kStatusUsage;
}

}  // namespace banyan
