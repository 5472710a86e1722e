#include "app/cli/option_values.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

bool is_flag(const CLI::Option& option) {
    return option.get_expected_max() == 0;
}

bool is_list(const CLI::Option& option) {
    return option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
}

// What takes a number is written as one where that changes nothing.
bool is_number(const CLI::Option& option, const std::string& text) {
    return option.get_type_name() == "N" && !text.empty() && text.size() < 10 &&
           (text == "0" || text.front() != '0') &&
           text.find_first_not_of("0123456789") == std::string::npos;
}

OptionValues value_of_option(const CLI::Option& option) {
    const std::vector<std::string>& given = option.results();
    if (is_flag(option)) return given.front() != "false";
    if (is_list(option)) return given;
    if (is_number(option, given.front())) return std::stoul(given.front());
    return given.front();
}

void add_argument(std::vector<std::string>& arguments, const std::string& name,
                  const OptionValues& value) {
    if (value.is_array()) {
        for (const OptionValues& one : value)
            add_argument(arguments, name, one);
        return;
    }
    if (value == false) return;
    arguments.push_back("--" + name);
    if (value.is_string()) arguments.push_back(value.get<std::string>());
    if (value.is_number_unsigned()) arguments.push_back(std::to_string(value.get<uint64_t>()));
}

tl::unexpected<Error> not_an_option(std::string_view what, std::string_view why) {
    return fail(ErrorCode::invalid_data,
                fmt::format("{}: {}; see banyan run --help, or use the version of Banyan that "
                            "made it",
                            what, why));
}

}  // namespace

OptionValues given_run_options(const CLI::App& command) {
    RunOptions unused;
    CLI::App run;
    add_run_options(run, unused);
    OptionValues values = OptionValues::object();
    for (const CLI::Option* known : run.get_options()) {
        if (known->get_lnames().empty()) continue;
        const std::string& name = known->get_lnames().front();
        const CLI::Option* given = command.get_option_no_throw("--" + name);
        if (name == "help" || given == nullptr || given->count() == 0) continue;
        values[name] = value_of_option(*given);
    }
    return values;
}

Result<RunOptions> run_options_of(std::string_view what, const OptionValues& values) {
    TRY(check_options(what, values));
    RunOptions options;
    CLI::App run;
    run.set_help_flag();  // a definition named so asks for none
    add_run_options(run, options);
    std::vector<std::string> arguments;
    for (const auto& [name, value] : values.items()) {
        if (run.get_option_no_throw("--" + name) == nullptr)
            return not_an_option(what, fmt::format("there is no option {}", quote_name(name)));
        add_argument(arguments, name, value);
    }
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants a list of them
    try {
        run.parse(arguments);
    } catch (const CLI::Error& error) {
        return not_an_option(what, error.what());
    }
    if (!run.remaining().empty())
        return not_an_option(what, quote_name(run.remaining().front()) + " belongs to no option");
    return options;
}

// Names of images have neither slash nor dot: a file is a disk, or a CD.
Result<std::string> option_of_image(std::string_view command,
                                    const std::vector<std::string>& extra) {
    const std::string& image = extra.front();
    const bool is_file = image.find_first_of("/.") != std::string::npos;
    if (extra.size() > 1 || image.starts_with("-") || !is_file) {
        const char* why = image.starts_with("-") ? "no such option"
                          : extra.size() > 1     ? "one image only, others by --disk"
                                                 : "images have no names yet, give the file";
        return fail(ErrorCode::invalid_argument,
                    fmt::format("wrong usage: {}: {}; see banyan {} --help", quote_name(image), why,
                                command));
    }
    return image.ends_with(".iso") ? "cdrom" : "disk";
}

}  // namespace banyan
