// Completions for shells, and the manual page: `banyan completion` and `banyan manual`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/command_tree.hpp"

namespace banyan {

// For bash, zsh or fish. Nothing: for another shell.
std::optional<std::string> completion_for(std::string_view shell,
                                          const std::vector<CommandFacts>& tree);
// In man(7)'s language.
std::string manual_page(const std::vector<CommandFacts>& tree, std::string_view version);

}  // namespace banyan
