#include "app/cli/completion.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace banyan {

namespace {

// Both kinds of VMs: what is printed has the name in front, below a line of heads.
constexpr std::string_view kVmNames = "banyan list -a 2>/dev/null | tail -n +2 | cut -d ' ' -f 1";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
    return text;
}

// One line in single quotes of a POSIX shell.
std::string quoted(const std::string& text) {
    return "'" + replaced(replaced(text, "\n", " "), "'", "'\\''") + "'";
}

// fish has backslashes within single quotes.
std::string fish_quoted(const std::string& text) {
    return "'" + replaced(replaced(replaced(text, "\n", " "), "\\", "\\\\"), "'", "\\'") + "'";
}

std::string words_of(const CommandFacts& command) {
    std::string words;
    for (const std::string& one : command.commands)
        words += one + " ";
    for (const OptionFacts& option : command.options) {
        if (!option.long_name.empty()) words += "--" + option.long_name + " ";
    }
    if (!words.empty()) words.pop_back();
    return words;
}

// Which command it is about: the words that name one, before the word at the cursor.
std::string bash_cases(const std::vector<CommandFacts>& tree) {
    std::string cases;
    for (const CommandFacts& command : tree) {
        cases += fmt::format("        {})\n            words={}\n", quoted(command.name),
                             quoted(words_of(command)));
        if (command.takes_vm()) cases += fmt::format("            names=$({})\n", kVmNames);
        cases += "            ;;\n";
    }
    return cases;
}

std::string bash_completion(const std::vector<CommandFacts>& tree) {
    std::string groups;
    for (const CommandFacts& command : tree) {
        if (!command.name.empty() && !command.commands.empty()) groups += command.name + "|";
    }
    if (!groups.empty()) groups.pop_back();
    return fmt::format(
        "# bash completion of banyan: source it, or put it into\n"
        "# ~/.local/share/bash-completion/completions/banyan\n"
        "_banyan() {{\n"
        "    local cur=${{COMP_WORDS[COMP_CWORD]}} command='' words='' names='' i\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case ${{COMP_WORDS[i]}} in\n"
        "            -*) [[ $command ]] && break ;;\n"
        "            *)\n"
        "                case $command in\n"
        "                    '') command=${{COMP_WORDS[i]}} ;;\n"
        "                    {}) command+=\" ${{COMP_WORDS[i]}}\"; break ;;\n"
        "                    *) break ;;\n"
        "                esac\n"
        "                ;;\n"
        "        esac\n"
        "    done\n"
        "    case $command in\n"
        "{}"
        "    esac\n"
        "    COMPREPLY=($(compgen -W \"$words $names\" -- \"$cur\"))\n"
        "}}\n"
        "complete -o default -F _banyan banyan\n",
        groups.empty() ? "-" : groups, bash_cases(tree));
}

// zsh runs bash's completions; its own form would say the same again.
std::string zsh_completion(const std::vector<CommandFacts>& tree) {
    return "#compdef banyan\nautoload -U +X bashcompinit && bashcompinit\n" + bash_completion(tree);
}

// When fish offers something: at the first word, or behind these.
std::string fish_condition(const std::string& name) {
    if (name.empty()) return "__fish_use_subcommand";
    const size_t space = name.find(' ');
    if (space == std::string::npos) return "__fish_seen_subcommand_from " + name;
    return fmt::format("__fish_seen_subcommand_from {}; and __fish_seen_subcommand_from {}",
                       name.substr(0, space), name.substr(space + 1));
}

std::string fish_completion(const std::vector<CommandFacts>& tree) {
    std::string text = "# fish completion of banyan: ~/.config/fish/completions/banyan.fish\n";
    for (const CommandFacts& command : tree) {
        const std::string when = fish_quoted(fish_condition(command.name));
        for (const std::string& name : command.commands) {
            const std::string whole = command.name.empty() ? name : command.name + " " + name;
            const auto below = std::ranges::find(tree, whole, &CommandFacts::name);
            text += fmt::format("complete -c banyan -f -n {} -a {} -d {}\n", when, name,
                                fish_quoted(below->text));
        }
        for (const OptionFacts& option : command.options) {
            text += fmt::format("complete -c banyan -n {}", when);
            if (!option.long_name.empty()) text += " -l " + option.long_name;
            if (!option.short_name.empty()) text += " -s " + option.short_name;
            text += fmt::format("{} -d {}\n", option.value.empty() ? "" : " -r",
                                fish_quoted(option.text));
        }
        if (command.takes_vm()) {
            text += fmt::format("complete -c banyan -f -n {} -a {}\n", when,
                                fish_quoted(fmt::format("({})", kVmNames)));
        }
    }
    return text;
}

// Lines of text that no request of roff begins.
std::string roff(const std::string& text) {
    std::string escaped = replaced(replaced(text, "\\", "\\e"), "-", "\\-");
    escaped = replaced(escaped, "\n", "\n\\&");
    return escaped.starts_with('.') || escaped.starts_with('\'') ? "\\&" + escaped : escaped;
}

std::string synopsis(const CommandFacts& command) {
    std::string text = "banyan " + command.name;
    if (!command.options.empty()) text += " [OPTION]...";
    for (const std::string& argument : command.arguments)
        text += " " + argument;
    return text;
}

}  // namespace

std::optional<std::string> completion_for(std::string_view shell,
                                          const std::vector<CommandFacts>& tree) {
    if (shell == "bash") return bash_completion(tree);
    if (shell == "zsh") return zsh_completion(tree);
    if (shell == "fish") return fish_completion(tree);
    return {};
}

std::string manual_page(const std::vector<CommandFacts>& tree, std::string_view version) {
    std::string page = fmt::format(
        ".TH BANYAN 1 \"\" \"banyan {}\" \"User Commands\"\n.SH NAME\nbanyan \\- runs virtual "
        "machines\n.SH SYNOPSIS\n.B banyan\n.I COMMAND\n[OPTION]...\n.SH COMMANDS\n",
        roff(std::string(version)));
    for (const CommandFacts& command : tree) {
        if (command.name.empty()) continue;
        page += fmt::format(".SS \"{}\"\n{}\n", roff(synopsis(command)), roff(command.text));
        for (const OptionFacts& option : command.options) {
            std::string names = option.short_name.empty() ? "" : "-" + option.short_name;
            if (!option.long_name.empty())
                names += fmt::format("{}--{}", names.empty() ? "" : ", ", option.long_name);
            page += fmt::format(".TP\n\\fB{}\\fR \\fI{}\\fR\n{}\n", roff(names), roff(option.value),
                                roff(option.text));
        }
        if (!command.footer.empty())
            page += fmt::format(".PP\n.nf\n{}\n.fi\n", roff(command.footer));
    }
    return page;
}

}  // namespace banyan
