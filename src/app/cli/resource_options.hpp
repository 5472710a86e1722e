// Options for what a VM or a pool may use of the host: --shares, --reservation, --limit and those
// of the memory.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "app/cli/resource_service.hpp"
#include "support/result.hpp"

namespace CLI {
class App;
}

namespace banyan {

// As they were given. An empty text: not given.
struct ResourceOptions {
    std::string pool;
    std::string shares;
    std::string reservation;
    std::string limit;
    std::string memory_shares;
    std::string memory_reservation;
    std::string memory_limit;
    std::string cpu_control;
};

// The six terms, of whatever the command is about.
void add_term_options(CLI::App& command, ResourceOptions& options);
// And --pool.
void add_pool_option(CLI::App& command, ResourceOptions& options);
void add_cpu_control_option(CLI::App& command, ResourceOptions& options);

bool has_terms(const ResourceOptions& options);
// Changes what was given.
Result<void> change_terms(const ResourceOptions& options, ResourceTerms& cpu,
                          ResourceTerms& memory);
// What a VM of so many CPUs and so much memory is started with.
Result<ResourceChoice> resources_of(const ResourceOptions& options, unsigned cpus, uint64_t memory);
// The arguments of __org.banyan_set-resources.
Result<nlohmann::ordered_json> resource_arguments(const ResourceOptions& options);

// "25%" is a quarter of a CPU, "1.5" is one and a half; in microseconds a second.
Result<uint64_t> parse_cpu_time(std::string_view option, std::string_view text);

}  // namespace banyan
