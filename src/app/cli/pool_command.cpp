#include "app/cli/pool_command.hpp"

#include <CLI/CLI.hpp>

#include "app/cli/cli.hpp"
#include "app/cli/pool_tasks.hpp"
#include "app/cli/print.hpp"
#include "host/linux/stderr_log.hpp"

namespace banyan {

namespace {

void add_pool_name(CLI::App& command, std::string& name) {
    command.add_option("name", name, "the pool; root is the one that all others are in")
        ->type_name("NAME")
        ->required();
}

void add_pool_changes(CLI::App& pool, PoolCommandOptions& o) {
    CLI::App& create = *pool.add_subcommand("create", "define a pool");
    CLI::App& set = *pool.add_subcommand("set", "change a pool, and with it what its VMs get now");
    for (CLI::App* command : {&create, &set}) {
        add_pool_name(*command, o.name);
        command->add_option("--parent", o.parent, "the pool that it is in; default root")
            ->type_name("POOL");
        add_term_options(*command, o.terms);
    }
    create.footer(
        "Examples:\n  banyan pool create test --limit 50%\n"
        "  banyan pool create web --shares 2000 --reservation 100% --memory-reservation 2G\n"
        "  banyan pool create web-cache --parent web --memory-limit 1G\n"
        "Then: banyan run --pool web ...");
    set.footer(
        "Examples:\n  banyan pool set test --limit none\n"
        "  banyan pool set root --memory-limit 16G     what VMs may have of this host");
    CLI::App& remove = *pool.add_subcommand("remove", "forget a pool that nothing is in");
    add_pool_name(remove, o.name);
    remove.footer("Examples:\n  banyan pool remove test");
}

void add_pool_show(CLI::App& pool, PoolCommandOptions& o) {
    CLI::App& list = *pool.add_subcommand("list", "the pools of this user");
    list.add_flag("--json", o.json, "as JSON");
    list.footer("Examples:\n  banyan pool list\n  banyan pool list --json");
    CLI::App& show = *pool.add_subcommand("show", "a pool, its VMs, and what they get");
    add_pool_name(show, o.name);
    show.add_flag("--json", o.json, "as JSON");
    show.footer("Examples:\n  banyan pool show root\n  banyan pool show web --json");
}

int pool_status_of(const Error& error) {
    print_message(error.text());
    return error.code() == ErrorCode::invalid_argument ? kStatusUsage : kStatusFailed;
}

int pool_done(const Result<void>& result) {
    return result ? 0 : pool_status_of(result.error());
}

int pool_printed(const Result<std::string>& text) {
    return text ? print_output(*text) : pool_status_of(text.error());
}

}  // namespace

void add_pool_commands(CLI::App& pool, PoolCommandOptions& options) {
    pool.require_subcommand(1);
    pool.footer("Examples:\n  banyan pool create test --limit 50%\n  banyan pool list");
    add_pool_changes(pool, options);
    add_pool_show(pool, options);
}

int run_pool_command(const CLI::App& pool, const PoolCommandOptions& options) {
    const std::string name = pool.get_subcommands().front()->get_name();
    if (name == "create") return pool_done(create_pool(options));
    if (name == "set") return pool_done(set_pool(options));
    if (name == "remove") return pool_done(remove_pool(options.name));
    if (name == "list") return pool_printed(options.json ? pool_list_json() : pool_list_text());
    return pool_printed(options.json ? pool_json(options.name) : pool_text(options.name));
}

}  // namespace banyan
