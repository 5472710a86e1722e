#include "app/cli/cli.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string_view>

#include "app/cli/completion.hpp"
#include "app/cli/device_command.hpp"
#include "app/cli/doctor.hpp"
#include "app/cli/doctor_security.hpp"
#include "app/cli/image_command.hpp"
#include "app/cli/network_command.hpp"
#include "app/cli/pool_command.hpp"
#include "app/cli/print.hpp"
#include "app/cli/run_command.hpp"
#include "app/cli/screen_commands.hpp"
#include "app/cli/stats.hpp"
#include "app/cli/store_commands.hpp"
#include "app/cli/vm_commands.hpp"
#include "host/linux/run_directory.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/linux/terminal.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/threads.hpp"

namespace banyan {

namespace {

constexpr std::array<std::string_view, 4> kUnsupportedImageCommands{"list", "build", "import",
                                                                    "remove"};

// In docs/cli.md, but not in this build.
constexpr std::array<std::string_view, 7> kUnsupportedCommands{
    "top", "exec", "cp", "snapshot", "fork", "migrate", "serve"};

int usage_error(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    print_message(text);
    return kStatusUsage;
}

std::string version_text(bool as_json) {
    if (!as_json) return "banyan " BANYAN_VERSION "\n";
    return nlohmann::ordered_json{{"version", BANYAN_VERSION}}.dump() + "\n";
}

struct ScreenOptions {
    std::string vm;
    std::string file;
    bool as_text = false;
    std::string text;
    std::vector<std::string> keys;
};

int screenshot(const ScreenOptions& options) {
    if (options.file.empty() != options.as_text)
        return usage_error("wrong usage: give a file or --text; see banyan screenshot --help");
    const auto directory = RunDirectory::open();
    if (!directory) return print_error(directory.error());
    if (options.as_text) {
        const auto text = screenshot_text(*directory, options.vm);
        return text ? print_output(*text) : print_error(text.error());
    }
    const auto saved = save_screenshot(*directory, options.vm, options.file);
    return saved ? 0 : print_error(saved.error());
}

int send_key(const ScreenOptions& options) {
    if (options.keys.empty() && options.text.empty())
        return usage_error("wrong usage: no key and no --text; see banyan send-key --help");
    const auto directory = RunDirectory::open();
    if (!directory) return print_error(directory.error());
    const auto sent = send_keys(*directory, options.vm, options.text, options.keys);
    return sent ? 0 : print_error(sent.error());
}

void add_screen_commands(CLI::App& screenshot, CLI::App& send_key, ScreenOptions& o) {
    for (CLI::App* command : {&screenshot, &send_key})
        command->add_option("vm", o.vm, "its name or process number")
            ->type_name("NAME|PID")
            ->required();
    screenshot.add_option("file", o.file, "the picture, as PNG")->type_name("FILE");
    screenshot.add_flag("--text", o.as_text, "print the characters of a text screen instead");
    screenshot.footer(
        "Examples:\n  banyan screenshot debian screen.png\n  banyan screenshot debian --text");
    send_key.add_option("keys", o.keys, "keys as QEMU calls them, pressed together with -")
        ->type_name("KEY...");
    send_key.add_option("--text", o.text, "typed on a US keyboard, before the keys")
        ->type_name("TEXT");
    send_key.footer(
        "Examples:\n  banyan send-key debian ctrl-alt-delete\n"
        "  banyan send-key debian --text root ret");
}

int print_completion(const CLI::App& app, const std::string& shell) {
    const auto text = completion_for(shell, command_tree(app));
    if (text) return print_output(*text);
    return usage_error(
        fmt::format("wrong usage: completion {}: give bash, zsh or fish; see banyan "
                    "completion --help",
                    quote_name(shell)));
}

int stats(const std::string& wanted, bool as_json) {
    const auto directory = RunDirectory::open();
    if (!directory) return print_error(directory.error());
    const auto text = as_json ? stats_json(*directory, wanted) : stats_text(*directory, wanted);
    return text ? print_output(*text) : print_error(text.error());
}

struct Commands {
    CLI::App app{"Banyan runs virtual machines.", "banyan"};
    CLI::App* run = app.add_subcommand("run", "run a VM, in the foreground or the background");
    CLI::App* doctor =
        app.add_subcommand("doctor", "what this host can do, and which engine a guest gets");
    CLI::App* image = app.add_subcommand("image", "make, copy and examine disk images");
    CLI::App* network = app.add_subcommand("network", "networks that VMs share");
    CLI::App* device = app.add_subcommand("device", "disks and network cards of a running VM");
    CLI::App* pool = app.add_subcommand("pool", "who gets how much of this host");
    CLI::App* screenshot = app.add_subcommand("screenshot", "the screen of a running VM");
    CLI::App* send_key = app.add_subcommand("send-key", "type at a running VM");
    CLI::App* stats = app.add_subcommand("stats", "figures of the VMs that run");
    CLI::App* completion =
        app.add_subcommand("completion", "what a shell needs to complete these commands");
    CLI::App* manual =
        app.add_subcommand("manual", "the manual page, for man -l or an installation");
    CLI::App* version = app.add_subcommand("version", "the version of this program");
    RunOptions run_options;
    ImageCommandOptions image_options;
    NetworkCommandOptions network_options;
    DeviceCommandOptions device_options;
    PoolCommandOptions pool_options;
    ScreenOptions screen_options;
    VmCommandOptions vm_options;
    StoreCommandOptions store_options;
    std::string wanted;  // a VM
    std::string shell;
    bool json = false;
    bool security = false;

    Commands() {
        app.require_subcommand(0, 1);
        app.footer(
            "Examples:\n  banyan run --kernel vmlinuz --initrd initrd.img --append console=ttyS0\n"
            "  banyan doctor\n  banyan run --help");
        add_run_options(*run, run_options);
        add_image_commands(*image, image_options);
        add_network_commands(*network, network_options);
        add_device_commands(*device, device_options);
        add_pool_commands(*pool, pool_options);
        add_screen_commands(*screenshot, *send_key, screen_options);
        add_store_commands(app, store_options);
        add_vm_commands(app, vm_options);
        doctor->add_flag("--json", json, "as JSON");
        CLI::Option* const about =
            doctor->add_flag("--security", security, "what confines the VMs that run");
        doctor->add_option("vm", wanted, "with --security: its name or process number")
            ->type_name("NAME|PID")
            ->needs(about);
        doctor->footer(
            "Examples:\n  banyan doctor\n  banyan doctor --json\n"
            "  banyan doctor --security debian");
        stats->add_option("vm", wanted, "its name or process number; default: all")
            ->type_name("NAME|PID");
        stats->add_flag("--json", json, "as JSON");
        stats->footer("Examples:\n  banyan stats\n  banyan stats debian\n  banyan stats --json");
        completion->add_option("shell", shell, "bash, zsh or fish")->type_name("SHELL")->required();
        completion->footer(
            "Examples:\n  source <(banyan completion bash)\n"
            "  banyan completion fish > ~/.config/fish/completions/banyan.fish");
        manual->footer("Examples:\n  banyan manual | man -l -");
        version->add_flag("--json", json, "as JSON");
        version->footer("Examples:\n  banyan version\n  banyan version --json");
    }
};

// Empty: none was given.
std::string command_of(const Commands& commands) {
    const auto given = commands.app.get_subcommands();
    return given.empty() ? std::string() : given.front()->get_name();
}

std::string command_with_help(const Commands& commands) {
    const std::string name = command_of(commands);
    return name.empty() ? "banyan --help" : fmt::format("banyan {} --help", name);
}

int doctor(const Commands& commands) {
    if (!commands.security) return print_output(commands.json ? doctor_json() : doctor_text());
    const auto text =
        commands.json ? security_json(commands.wanted) : security_text(commands.wanted);
    return text ? print_output(*text) : print_error(text.error());
}

int dispatch(Commands& commands) {
    const std::string name = command_of(commands);
    if (is_store_command(name))
        return run_store_command(*commands.app.get_subcommand(name), commands.store_options);
    if (is_vm_command(name)) return run_vm_command(name, commands.vm_options);
    if (commands.run->parsed()) return run_vm_here(commands.run_options, commands.run->remaining());
    if (commands.doctor->parsed()) return doctor(commands);
    if (commands.image->parsed()) return run_image_command(*commands.image, commands.image_options);
    if (commands.network->parsed())
        return run_network_command(*commands.network, commands.network_options);
    if (commands.device->parsed())
        return run_device_command(*commands.device, commands.device_options);
    if (commands.pool->parsed()) return run_pool_command(*commands.pool, commands.pool_options);
    if (commands.screenshot->parsed()) return screenshot(commands.screen_options);
    if (commands.send_key->parsed()) return send_key(commands.screen_options);
    if (commands.stats->parsed()) return stats(commands.wanted, commands.json);
    if (commands.completion->parsed()) return print_completion(commands.app, commands.shell);
    if (commands.manual->parsed())
        return print_output(manual_page(command_tree(commands.app), BANYAN_VERSION));
    if (commands.version->parsed()) return print_output(version_text(commands.json));
    return usage_error("wrong usage: no command was given; see banyan --help");
}

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

int not_supported_yet(std::string_view command) {
    return usage_error(
        fmt::format("{}: this command is not supported yet; see banyan --help", command));
}

int parse_and_dispatch(int argc, const char* const* argv) {
    if (argc > 1 && is_one_of(kUnsupportedCommands, argv[1])) return not_supported_yet(argv[1]);
    if (argc > 2 && std::string_view(argv[1]) == "image" &&
        is_one_of(kUnsupportedImageCommands, argv[2])) {
        return not_supported_yet(fmt::format("image {}", argv[2]));
    }
    Commands commands;
    try {
        commands.app.parse(argc, argv);
    } catch (const CLI::Success&) {  // --help
        return print_output(commands.app.help());
    } catch (const CLI::ParseError& error) {
        return usage_error(
            fmt::format("wrong usage: {}; see {}", error.what(), command_with_help(commands)));
    }
    return dispatch(commands);
}

}  // namespace

int run_cli(int argc, const char* const* argv) {
    fill_standard_streams();
    use_small_stacks();
    install_stderr_log();
    try {
        return parse_and_dispatch(argc, argv);
    } catch (const std::bad_alloc&) {
        print_message("no memory for Banyan itself: the host is out of it; free some");
    } catch (const std::exception& error) {
        print_message(fmt::format("a defect in Banyan: {}; please report it", error.what()));
    }
    return kStatusFailed;
}

}  // namespace banyan
