#include "app/cli/network_command.hpp"

#include <CLI/CLI.hpp>

#include "app/cli/cli.hpp"
#include "app/cli/network_tasks.hpp"
#include "app/cli/print.hpp"
#include "host/linux/stderr_log.hpp"

namespace banyan {

namespace {

void add_network_name(CLI::App& command, std::string& name) {
    command.add_option("name", name, "the network")->type_name("NAME")->required();
}

void add_network_create(CLI::App& network, NetworkCommandOptions& o) {
    CLI::App& create = *network.add_subcommand("create", "define a network, and start its switch");
    add_network_name(create, o.name);
    create.add_flag("--isolated", o.isolated, "its members reach each other only; the default");
    create.add_flag("--nat", o.nat, "its members also reach what this host reaches");
    create
        .add_option("--subnet", o.subnet, "its addresses; default: a block of 10.64.0.0/10 by name")
        ->type_name("CIDR");
    create.add_flag("--private", o.private_members, "members do not reach each other");
    create.add_flag("--no-dhcp", o.no_dhcp, "no addresses and names are given");
    create.add_option("--rate", o.rate, "bytes a second that each member may send, with K, M, G")
        ->type_name("SIZE");
    create.add_option("--vlan", o.vlans, "the VLAN of a member, 1 to 4094; default: 1")
        ->type_name("MEMBER=VLAN");
    create.add_option("--trunk", o.trunks, "VLANs that a member sees with tags")
        ->type_name("MEMBER=VLAN,...");
    create.footer(
        "Examples:\n  banyan network create lab\n  banyan network create office --nat\n"
        "  banyan network create lab --subnet 10.1.2.0/24 --vlan web=10 --trunk router=10,20\n"
        "Then: banyan run --net switch=lab ...");
}

void add_network_show(CLI::App& network, NetworkCommandOptions& o) {
    CLI::App& list = *network.add_subcommand("list", "the networks of this user");
    list.add_flag("--json", o.json, "as JSON");
    list.footer("Examples:\n  banyan network list\n  banyan network list --json");
    CLI::App& show = *network.add_subcommand("show", "ports, addresses, counters of a network");
    add_network_name(show, o.name);
    show.add_flag("--json", o.json, "as JSON");
    show.footer("Examples:\n  banyan network show lab\n  banyan network show lab --json");
}

void add_network_life(CLI::App& network, NetworkCommandOptions& o) {
    CLI::App& start = *network.add_subcommand("start", "start its switch, if it does not run");
    add_network_name(start, o.name);
    start.footer("Examples:\n  banyan network start lab\nbanyan run --net switch=lab does it too.");
    CLI::App& remove = *network.add_subcommand("remove", "end its switch, and forget the network");
    add_network_name(remove, o.name);
    remove.footer("Examples:\n  banyan network remove lab\nIts members lose their link.");
}

int status_of(const Error& error) {
    print_message(error.text());
    return error.code() == ErrorCode::invalid_argument ? kStatusUsage : kStatusFailed;
}

Result<void> create(const NetworkCommandOptions& options) {
    TRY_ASSIGN(store, NetworkStore::open());
    TRY_ASSIGN(network, parse_network(options, store.subnets()));
    return create_network(network);
}

int done(const Result<void>& result) {
    return result ? 0 : status_of(result.error());
}

int printed(const Result<std::string>& text) {
    return text ? print_output(*text) : status_of(text.error());
}

}  // namespace

void add_network_commands(CLI::App& network, NetworkCommandOptions& options) {
    network.require_subcommand(1);
    network.footer("Examples:\n  banyan network create lab\n  banyan network create --help");
    add_network_create(network, options);
    add_network_show(network, options);
    add_network_life(network, options);
}

int run_network_command(const CLI::App& network, const NetworkCommandOptions& options) {
    const std::string name = network.get_subcommands().front()->get_name();
    if (name == "create") return done(create(options));
    if (name == "start") return done(ensure_network_runs(options.name));
    if (name == "remove") return done(remove_network(options.name));
    if (name == "list") return printed(options.json ? network_list_json() : network_list_text());
    return printed(options.json ? network_json(options.name) : network_text(options.name));
}

}  // namespace banyan
