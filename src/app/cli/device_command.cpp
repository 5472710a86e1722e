#include "app/cli/device_command.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fmt/format.h>

#include "app/cli/cli.hpp"
#include "app/cli/net_options.hpp"
#include "app/cli/network_tasks.hpp"
#include "app/cli/print.hpp"
#include "app/cli/run_options.hpp"
#include "app/cli/values.hpp"
#include "app/cli/vm_text.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"
#include "manager/vm_actions.hpp"

namespace banyan {

namespace {

using Json = nlohmann::ordered_json;
using DeviceOptions = DeviceCommandOptions;

constexpr uint64_t kUsualRemoval = 30;
constexpr uint64_t kLongestRemoval = 1'000'000;

int device_failed(std::string_view command, const DeviceOptions& o, const Error& error) {
    print_message(fmt::format("device {} {}: {}", command, quote_name(o.vm), error.text()));
    return kStatusFailed;
}

// Finds the VM, and does `action` to it: a Result, of whose value `print` makes the exit status.
template <class Action, class Print>
int with_vm_of(std::string_view command, const DeviceOptions& o, Action action, Print print) {
    const auto directory = RunDirectory::open();
    if (!directory) return device_failed(command, o, directory.error());
    const auto vm = find_vm(*directory, fmt::format("device {}", command), o.vm);
    if (!vm) {
        print_message(vm.error().text());
        return kStatusFailed;
    }
    const auto done = action(*directory, *vm);
    return done ? print(done) : device_failed(command, o, done.error());
}

// The VM looks for the file from where it was started, the user from here.
std::string with_absolute_path(const std::string& text) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string path = text.substr(0, comma);
    if (path.starts_with("nbd://") || path.starts_with("nbd+unix:")) return text;
    std::error_code unreadable;
    const auto absolute = std::filesystem::absolute(path, unreadable);
    return unreadable ? text : absolute.string() + text.substr(comma);
}

// Checked here, so that what is wrong is found before the VM is asked; networks are started from
// here, too.
Result<Json> device_of(const DeviceOptions& o) {
    if (o.disk.empty() == o.net.empty()) {
        return fail(ErrorCode::invalid_argument,
                    "device add: give either --disk or --net; see banyan device add --help");
    }
    Json device = Json::object();
    if (!o.id.empty()) device["id"] = o.id;
    if (!o.disk.empty()) {
        if (!o.published.empty()) {
            return fail(ErrorCode::invalid_argument,
                        "--publish: a disk has no ports; leave it out, or give --net nat");
        }
        TRY_ASSIGN(disk, parse_disk(o.disk));
        TRY(validate_added(disk));
        device["disk"] = with_absolute_path(o.disk);
        return device;
    }
    TRY_ASSIGN(nets, parse_nets({o.net}, o.published));
    for (const NetChoice& net : nets)
        TRY(validate_added(net));
    device["net"] = o.net;
    if (!o.published.empty()) device["publish"] = o.published;
    return device;
}

Result<void> start_network(const DeviceOptions& o) {
    if (o.net.empty()) return {};
    TRY_ASSIGN(nets, parse_nets({o.net}, {}));
    return join_networks(nets);
}

int add_to_vm(const DeviceOptions& o) {
    const auto device = device_of(o);
    if (!device) return print_error(device.error(), kStatusUsage);
    const auto action = [&](const RunDirectory& directory,
                            const RunningVm& vm) -> Result<std::string> {
        TRY(start_network(o));
        return add_device(directory, vm, *device);
    };
    return with_vm_of("add", o, action, [](const auto& id) { return print_output(*id + "\n"); });
}

int remove_from_vm(const DeviceOptions& o) {
    uint64_t seconds = kUsualRemoval;
    if (!o.timeout.empty()) {
        const auto given = parse_number("--timeout", o.timeout, kLongestRemoval);
        if (!given) return print_error(given.error(), kStatusUsage);
        seconds = *given;
    }
    return with_vm_of(
        "remove", o,
        [&](const RunDirectory& directory, const RunningVm& vm) {
            return remove_device(directory, vm, o.id, std::chrono::seconds(seconds));
        },
        [](const auto&) { return 0; });
}

int list_of_vm(const DeviceOptions& o) {
    return with_vm_of(
        "list", o,
        [](const RunDirectory& directory, const RunningVm& vm) {
            return devices_of(directory, vm);
        },
        [&](const auto& devices) {
            return print_output(o.json ? json_text(*devices) : devices_text(*devices));
        });
}

int resize_in_vm(const DeviceOptions& o) {
    const auto size = parse_size("SIZE", o.size);
    if (!size) return print_error(size.error(), kStatusUsage);
    return with_vm_of(
        "resize", o,
        [&](const RunDirectory& directory, const RunningVm& vm) {
            return resize_disk(directory, vm, o.id, *size);
        },
        [](const auto&) { return 0; });
}

CLI::App& device_subcommand(CLI::App& command, const char* name, const char* text,
                            DeviceOptions& o) {
    CLI::App& one = *command.add_subcommand(name, text);
    one.add_option("vm", o.vm, "its name or process number")->type_name("NAME|PID")->required();
    return one;
}

void add_adding(CLI::App& command, DeviceOptions& o) {
    CLI::App& one =
        device_subcommand(command, "add", "a disk or network card, and print its id", o);
    one.add_option("--disk", o.disk, "a disk, as for banyan run, on the bus virtio")
        ->type_name("FILE[,KEY=VALUE]...");
    one.add_option("--net", o.net, "a virtio card, and what it is connected to, as for banyan run")
        ->type_name("nat|switch=NAME|tap=IFACE[,KEY=VALUE]...");
    one.add_option("--publish", o.published, "as for banyan run; repeatable")
        ->type_name("[ADDR:]HOSTPORT:GUESTPORT[/udp]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    one.add_option("--id", o.id, "what it is called; default: the next of disk0, ... or net0, ...")
        ->type_name("ID");
    one.footer(
        "Examples:\n  banyan device add debian --disk data.qcow2\n"
        "  banyan device add debian --net switch=lab --id lab");
}

}  // namespace

void add_device_commands(CLI::App& command, DeviceCommandOptions& o) {
    command.require_subcommand(1);
    add_adding(command, o);
    CLI::App& removing = device_subcommand(
        command, "remove", "have the guest let go of a device that was added, and wait for it", o);
    removing.add_option("id", o.id, "as banyan device list shows it")->type_name("ID")->required();
    removing
        .add_option("-t,--timeout", o.timeout,
                    "how long the guest may take; default 30. After that the exit status is 1")
        ->type_name("SECONDS");
    removing.footer("Examples:\n  banyan device remove debian disk1");
    CLI::App& listing = device_subcommand(command, "list", "the VM's disks and network cards", o);
    listing.add_flag("--json", o.json, "as JSON");
    listing.footer("Examples:\n  banyan device list debian");
    CLI::App& resizing =
        device_subcommand(command, "resize", "make a disk larger, and tell the guest", o);
    resizing.add_option("id", o.id, "as banyan device list shows it")->type_name("ID")->required();
    resizing.add_option("size", o.size, "the new size, with K, M, G or T")
        ->type_name("SIZE")
        ->required();
    resizing.footer("Examples:\n  banyan device resize debian disk0 20G");
}

int run_device_command(const CLI::App& command, const DeviceCommandOptions& options) {
    const std::string name = command.get_subcommands().front()->get_name();
    if (name == "add") return add_to_vm(options);
    if (name == "remove") return remove_from_vm(options);
    return name == "list" ? list_of_vm(options) : resize_in_vm(options);
}

}  // namespace banyan
