#include "app/cli/resource_options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "app/cli/values.hpp"
#include "host/posix/host_error.hpp"
#include "manager/resource_governor.hpp"

namespace banyan {

namespace {

constexpr const char* kNone = "none";

Result<void> change_shares(std::string_view option, const std::string& text, uint64_t& shares) {
    if (text.empty()) return {};
    TRY_ASSIGN(number, parse_number(option, text, kMostShares));
    if (number == 0) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("{} 0: who has no shares gets nothing; give 1 to {}", option, kMostShares));
    }
    shares = number;
    return {};
}

using ParseAmount = Result<uint64_t> (*)(std::string_view, std::string_view);

Result<void> change_amount(std::string_view option, const std::string& text, uint64_t none,
                           ParseAmount parse, uint64_t& amount) {
    if (text.empty()) return {};
    if (text == kNone) {
        amount = none;
        return {};
    }
    TRY_ASSIGN(given, parse(option, text));
    amount = given;
    return {};
}

Result<void> check_limit(std::string_view option, const ResourceTerms& terms,
                         std::string (*text)(uint64_t)) {
    if (terms.limit == 0) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("--{}limit 0: nothing could run; give more, or none", option));
    }
    if (terms.reservation <= terms.limit) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("--{}reservation {}: more than the limit of {}; reserve less, or raise "
                            "--{}limit",
                            option, text(terms.reservation), text(terms.limit), option));
}

Result<CpuControlChoice> control_of(const std::string& text) {
    if (text.empty()) return CpuControlChoice::automatic;
    return parse_choice<CpuControlChoice>("--cpu-control", text,
                                          {{"auto", CpuControlChoice::automatic},
                                           {"cgroup", CpuControlChoice::cgroup},
                                           {"throttle", CpuControlChoice::throttle}});
}

}  // namespace

void add_term_options(CLI::App& command, ResourceOptions& o) {
    command
        .add_option("--shares", o.shares,
                    "weight of its CPUs among siblings that want more than there is; default 1000")
        ->type_name("N");
    command
        .add_option("--reservation", o.reservation,
                    "CPU time that it gets whatever others want: 25% is a quarter of one CPU, 1.5 "
                    "are one and a half; default 0")
        ->type_name("CPUS");
    command.add_option("--limit", o.limit, "CPU time that it never gets more than; default none")
        ->type_name("CPUS|none");
    command.add_option("--memory-shares", o.memory_shares, "the same for memory; default 1000")
        ->type_name("N");
    command
        .add_option("--memory-reservation", o.memory_reservation,
                    "memory that its balloon leaves it whatever others want; default 0")
        ->type_name("SIZE");
    command
        .add_option("--memory-limit", o.memory_limit,
                    "memory that its balloon leaves it at most; default none")
        ->type_name("SIZE|none");
}

void add_pool_option(CLI::App& command, ResourceOptions& o) {
    command.add_option("--pool", o.pool, "the pool that it is in; default root")->type_name("POOL");
}

void add_cpu_control_option(CLI::App& command, ResourceOptions& o) {
    command
        .add_option("--cpu-control", o.cpu_control,
                    "how its CPU time is kept: cgroup (the host's scheduler), throttle (its vCPUs "
                    "are held for milliseconds), or auto: the first where this user may")
        ->type_name("auto|cgroup|throttle");
}

bool has_terms(const ResourceOptions& o) {
    return !(o.shares + o.reservation + o.limit + o.memory_shares + o.memory_reservation +
             o.memory_limit)
                .empty();
}

Result<uint64_t> parse_cpu_time(std::string_view option, std::string_view text) {
    constexpr double kMostCpus = 10'000;
    const bool is_percent = text.ends_with('%');
    const std::string number(text.substr(0, text.size() - (is_percent ? 1 : 0)));
    const bool is_plain = !number.empty() && number.size() <= 12 &&
                          number.find_first_not_of("0123456789.") == std::string::npos &&
                          std::count(number.begin(), number.end(), '.') <= 1 && number != ".";
    const double cpus = is_plain ? std::stod(number) / (is_percent ? 100 : 1) : kMostCpus + 1;
    if (cpus <= kMostCpus)
        return static_cast<uint64_t>(std::llround(cpus * static_cast<double>(kOneCpu)));
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} {}: that is no CPU time; give one like 25% (a quarter of a CPU) or "
                            "1.5 (CPUs)",
                            option, quote_name(text)));
}

Result<void> change_terms(const ResourceOptions& o, ResourceTerms& cpu, ResourceTerms& memory) {
    TRY(change_shares("--shares", o.shares, cpu.shares));
    TRY(change_amount("--reservation", o.reservation, 0, parse_cpu_time, cpu.reservation));
    TRY(change_amount("--limit", o.limit, kUnlimited, parse_cpu_time, cpu.limit));
    TRY(change_shares("--memory-shares", o.memory_shares, memory.shares));
    TRY(change_amount("--memory-reservation", o.memory_reservation, 0, parse_size,
                      memory.reservation));
    TRY(change_amount("--memory-limit", o.memory_limit, kUnlimited, parse_size, memory.limit));
    TRY(check_limit("", cpu, cpu_text));
    return check_limit("memory-", memory, memory_text);
}

Result<ResourceChoice> resources_of(const ResourceOptions& o, unsigned cpus, uint64_t memory) {
    ResourceChoice choice;
    if (!o.pool.empty()) choice.pool = o.pool;
    choice.governed = has_terms(o) || !o.pool.empty();
    TRY(change_terms(o, choice.cpu, choice.memory));
    TRY_ASSIGN(control, control_of(o.cpu_control));
    choice.control = control;
    TRY(check_against_size(choice.cpu, choice.memory, cpus, memory));
    return choice;
}

Result<nlohmann::ordered_json> resource_arguments(const ResourceOptions& o) {
    nlohmann::ordered_json arguments = nlohmann::ordered_json::object();
    const auto add = [&](const char* name, const std::string& text, ParseAmount parse,
                         std::string_view option) -> Result<void> {
        if (text.empty()) return {};
        if (text == kNone) {
            arguments[name] = -1;
            return {};
        }
        TRY_ASSIGN(amount, parse(option, text));
        arguments[name] = amount;
        return {};
    };
    const auto parse_shares = [](std::string_view option, std::string_view text) {
        return parse_number(option, text, kMostShares);
    };
    if (!o.pool.empty()) arguments["pool"] = o.pool;
    TRY(add("cpu-shares", o.shares, parse_shares, "--shares"));
    TRY(add("cpu-reservation", o.reservation, parse_cpu_time, "--reservation"));
    TRY(add("cpu-limit", o.limit, parse_cpu_time, "--limit"));
    TRY(add("memory-shares", o.memory_shares, parse_shares, "--memory-shares"));
    TRY(add("memory-reservation", o.memory_reservation, parse_size, "--memory-reservation"));
    TRY(add("memory-limit", o.memory_limit, parse_size, "--memory-limit"));
    return arguments;
}

}  // namespace banyan
