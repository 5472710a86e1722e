#include "app/cli/command_tree.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>

namespace banyan {

namespace {

OptionFacts facts_of_option(const CLI::Option& option) {
    const auto first = [](const std::vector<std::string>& names) {
        return names.empty() ? std::string() : names.front();
    };
    const bool takes_value = option.get_expected_max() != 0;
    return {first(option.get_lnames()), first(option.get_snames()),
            takes_value ? option.get_type_name() : std::string(), option.get_description()};
}

std::string argument_of(const CLI::Option& option) {
    const std::string name = option.get_type_name();
    return option.get_required() ? name : fmt::format("[{}]", name);
}

void add_tree(const CLI::App& app, const std::string& name, std::vector<CommandFacts>& tree) {
    CommandFacts facts{name, app.get_description(), {}, {}, {}, app.get_footer()};
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_positional()) {
            facts.arguments.push_back(argument_of(*option));
        } else if (!option->get_group().empty()) {
            facts.options.push_back(facts_of_option(*option));
        }
    }
    const auto below = app.get_subcommands([](const CLI::App*) { return true; });
    for (const CLI::App* one : below)
        facts.commands.push_back(one->get_name());
    tree.push_back(std::move(facts));
    for (const CLI::App* one : below)
        add_tree(*one, name.empty() ? one->get_name() : name + " " + one->get_name(), tree);
}

}  // namespace

bool CommandFacts::takes_vm() const {
    return std::ranges::any_of(arguments, [](const std::string& argument) {
        return argument == "NAME" || argument.find("NAME|PID") != std::string::npos;
    });
}

std::vector<CommandFacts> command_tree(const CLI::App& app) {
    std::vector<CommandFacts> tree;
    add_tree(app, "", tree);
    return tree;
}

}  // namespace banyan
