#include "app/cli/network_command.hpp"

#include <CLI/CLI.hpp>

#include "app/cli/cli.hpp"
#include "app/cli/net_options.hpp"
#include "app/cli/network_capture.hpp"
#include "app/cli/network_tasks.hpp"
#include "app/cli/print.hpp"
#include "app/cli/values.hpp"
#include "host/linux/stderr_log.hpp"
#include "manager/vm_actions.hpp"

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

void add_network_traffic(CLI::App& network, NetworkCommandOptions& o) {
    CLI::App& capture = *network.add_subcommand(
        "capture", "record the frames of a network, or of a VM's card; Ctrl-C ends");
    capture.add_option("name", o.name, "a network, or a VM")->type_name("NETWORK|VM")->required();
    capture.add_option("-o,--output", o.output, "default: NAME.pcap; - is standard output")
        ->type_name("FILE");
    capture.add_option("--port", o.port, "of a network: what passes to and from this member")
        ->type_name("MEMBER");
    capture.add_option("--card", o.card, "of a VM: which card; default 0")->type_name("N");
    capture.footer(
        "Examples:\n  banyan network capture lab\n  banyan network capture lab --port web -o "
        "w.pcap\n"
        "  banyan network capture debian -o - | tcpdump -n -r -");
    CLI::App& rate = *network.add_subcommand(
        "rate", "limit what passes a card of a running VM, each way, as --net ...,rate= does");
    rate.add_option("name", o.name, "the VM")->type_name("NAME|PID")->required();
    rate.add_option("rate", o.rate, "bytes a second, with K, M, G; or bits: 100mbit; off: no limit")
        ->type_name("RATE|off")
        ->required();
    rate.add_option("--card", o.card, "which card; default 0")->type_name("N");
    rate.footer(
        "Examples:\n  banyan network rate debian 100mbit\n  banyan network rate debian off");
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

Result<void> change_rate(const NetworkCommandOptions& options) {
    constexpr uint64_t kLastCard = 255;
    uint64_t rate = 0;
    if (options.rate != "off") {
        TRY_ASSIGN(given, parse_net_rate("network rate", options.rate));
        rate = given;
    }
    TRY_ASSIGN(card, parse_number("--card", options.card.empty() ? "0" : options.card, kLastCard));
    TRY_ASSIGN(directory, RunDirectory::open());
    TRY_ASSIGN(vm, find_vm(directory, "network rate", options.name));
    return set_net_rate(directory, vm, static_cast<unsigned>(card), rate);
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
    add_network_traffic(network, options);
}

int run_network_command(const CLI::App& network, const NetworkCommandOptions& options) {
    const std::string name = network.get_subcommands().front()->get_name();
    if (name == "create") return done(create(options));
    if (name == "start") return done(ensure_network_runs(options.name));
    if (name == "remove") return done(remove_network(options.name));
    if (name == "rate") return done(change_rate(options));
    if (name == "capture")
        return capture_frames({options.name, options.output, options.port, options.card});
    if (name == "list") return printed(options.json ? network_list_json() : network_list_text());
    return printed(options.json ? network_json(options.name) : network_text(options.name));
}

}  // namespace banyan
