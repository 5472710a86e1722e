// The commands and options of the program as plain values, from what its parser knows: completions
// and the manual page are written from them.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace banyan {

struct OptionFacts {
    std::string long_name;   // without dashes; may be empty
    std::string short_name;  // the same
    std::string value;       // "FILE"; empty: it takes none
    std::string text;
};

struct CommandFacts {
    std::string name;  // "image create"; empty: the program itself
    std::string text;
    std::vector<OptionFacts> options;    // without those that are hidden
    std::vector<std::string> arguments;  // "NAME"; what may be left out in brackets
    std::vector<std::string> commands;   // below it
    std::string footer;                  // examples

    bool takes_vm() const;
};

// The program, then each command before those below it.
std::vector<CommandFacts> command_tree(const CLI::App& app);

}  // namespace banyan
