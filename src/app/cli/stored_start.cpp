#include "app/cli/stored_start.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "app/cli/cli.hpp"
#include "app/cli/option_values.hpp"
#include "app/cli/run_command.hpp"
#include "host/linux/run_directory.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"
#include "manager/store/vm_store.hpp"

namespace banyan {

namespace {

// What the process of the VM is told: it does not open the store, so that it does not carry SQLite.
struct StartOrders {
    std::string name;
    std::string directory;  // of its files
    std::string stored;     // its own
    std::string options;    // as stored
};

// In the caller's process.
Result<std::string> claim_for(const std::string& name, pid_t process) {
    const auto vm_process = find_process(process);
    if (!vm_process) return fail(ErrorCode::io, "start: the VM's process was killed");
    TRY_ASSIGN(store, VmStore::open());
    TRY_ASSIGN(vm, store->claim("start", name, *vm_process));
    const OptionValues orders{{"name", vm.definition.name},
                              {"directory", vm.definition.directory},
                              {"stored", store->directory_of(vm)},
                              {"options", vm.definition.options}};
    return orders.dump(-1, ' ', false, OptionValues::error_handler_t::replace);
}

// In the VM's.
Result<StartOrders> read_orders(const std::string& text) {
    const OptionValues json = OptionValues::parse(text, nullptr, false);
    if (!json.is_object()) return fail(ErrorCode::io, "start: its caller was killed");
    return StartOrders{json["name"].get<std::string>(), json["directory"].get<std::string>(),
                       json["stored"].get<std::string>(), json["options"].get<std::string>()};
}

Result<int> run_ordered(const StartOrders& orders, Detached& detached,
                        const InheritedHandles& inherited) {
    if (::chdir(orders.directory.c_str()) != 0) {
        return host_fail(errno, "start: go to " + quote_name(orders.directory),
                         "make the directory, or name another one by banyan set --directory");
    }
    TRY(RunDirectory::open_at(orders.stored));  // made for its logs
    TRY_ASSIGN(options, run_options_of("the VM " + quote_name(orders.name),
                                       OptionValues::parse(orders.options, nullptr, false)));
    options.name = orders.name;
    options.detach = true;
    TRY_ASSIGN(plan, make_plan(options));
    return carry_out(std::move(plan), &detached, orders.stored, inherited);
}

int run_stored(const std::string& text, Detached& detached, const InheritedHandles& inherited) {
    const auto orders = read_orders(text);
    const auto status =
        orders ? run_ordered(*orders, detached, inherited) : tl::unexpected(orders.error());
    if (status) return *status;
    print_message(status.error().text());
    if (const auto own = find_process(::getpid()); orders && own) {
        (void)write_ending(orders->stored, *own,
                           {kStatusFailed, std::string(name_of(VmCause::host_error)),
                            std::string(status.error().text()), seconds_since_1970()});
    }
    return kStatusFailed;
}

}  // namespace

StoredStart start_stored_vm(const std::string& name) {
    const InheritedHandles inherited = InheritedHandles::find();
    const auto start =
        Detached::start("start", [&](pid_t process) { return claim_for(name, process); });
    if (!start) {
        print_message(start.error().text());
        return {kStatusFailed, false};
    }
    if (start->status) return {*start->status, false};
    return {run_stored(start->orders, *start->vm, inherited), true};
}

}  // namespace banyan
