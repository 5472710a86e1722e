// `banyan pool`: its sub-commands and their options.
#pragma once

#include <string>

#include "app/cli/resource_options.hpp"

namespace banyan {

// As they were given. An empty text: not given.
struct PoolCommandOptions {
    std::string name;
    std::string parent;
    ResourceOptions terms;
    bool json = false;
};

// Declares the sub-commands; parsing fills `options`, which must outlive them.
void add_pool_commands(CLI::App& pool, PoolCommandOptions& options);

// Does what the one that was given asks for; returns the exit status.
int run_pool_command(const CLI::App& pool, const PoolCommandOptions& options);

}  // namespace banyan
