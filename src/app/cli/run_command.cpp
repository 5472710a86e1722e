#include "app/cli/run_command.hpp"

#include "app/cli/cli.hpp"
#include "app/cli/foreground.hpp"
#include "app/cli/network_tasks.hpp"
#include "app/cli/option_values.hpp"
#include "app/cli/print.hpp"
#include "app/cli/trace_choice.hpp"
#include "host/linux/stderr_log.hpp"

namespace banyan {

namespace {

int run_now(RunOptions options, const std::vector<std::string>& extra, Detached* detached,
            const InheritedHandles& inherited) {
    if (!extra.empty()) {
        const auto option = option_of_image("run", extra);
        if (!option) return print_error(option.error(), kStatusUsage);
        auto& place = *option == "cdrom" ? options.cdroms : options.disks;
        place.insert(place.begin(), extra.front());
    }
    const auto trace = parse_traces(options.traces);
    if (trace && trace->help) return print_output(trace_help());
    auto plan = make_plan(options);
    if (!plan) return print_error(plan.error(), kStatusUsage);
    const auto status = carry_out(std::move(*plan), detached, {}, inherited);
    return status ? *status : print_error(status.error(), kStatusFailed);
}

}  // namespace

Result<RunPlan> make_plan(const RunOptions& options) {
    TRY_ASSIGN(trace, parse_traces(options.traces));
    TRY_ASSIGN(level, log_level_of(options));
    TRY_ASSIGN(config, make_config(options));
    TRY_ASSIGN(gdb, gdb_of(options));
    TRY_ASSIGN(vnc, vnc_of(options));
    TRY_ASSIGN(resources, resources_of(options.resources, config.cpus, config.memory));
    return RunPlan{.config = std::move(config),
                   .gdb = std::move(gdb),
                   .vnc = std::move(vnc),
                   .trace_engine = trace.jit,
                   .log_level = level,
                   .control = options.control,
                   .resources = resources};
}

Result<int> carry_out(RunPlan plan, Detached* detached, const std::string& stored,
                      const InheritedHandles& inherited) {
    set_log_level(plan.log_level);
    if (detached != nullptr) TRY(detached->set_console(plan.config.console, stored));
    TRY(join_networks(plan.config.nets));
    return run_in_foreground(plan.config, {.trace_engine = plan.trace_engine,
                                           .gdb = plan.gdb,
                                           .vnc = plan.vnc,
                                           .control = plan.control,
                                           .resources = plan.resources,
                                           .detached = detached,
                                           .stored = stored,
                                           .inherited = &inherited});
}

int run_vm_here(const RunOptions& options, const std::vector<std::string>& extra) {
    const InheritedHandles inherited = InheritedHandles::find();
    if (!options.detach) return run_now(options, extra, nullptr, inherited);
    const auto start = Detached::start(
        "run --detach", [](pid_t) -> Result<std::string> { return std::string("run"); });
    if (!start) return print_error(start.error(), kStatusFailed);
    return start->status ? *start->status : run_now(options, extra, start->vm.get(), inherited);
}

}  // namespace banyan
