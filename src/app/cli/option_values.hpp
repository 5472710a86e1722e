// Options of `banyan run` as values that are kept, and back: by the program's own parser, so that
// there is one grammar.
#pragma once

#include "app/cli/run_options.hpp"
#include "app/definition/vm_definition.hpp"

namespace banyan {

// Those of add_run_options() that a command was given.
OptionValues given_run_options(const CLI::App& command);
// Fails with ErrorCode::invalid_data when there is no such option, or not of such a value;
// `what` begins the message.
Result<RunOptions> run_options_of(std::string_view what, const OptionValues& values);

// What IMAGE stands for, "disk" or "cdrom": it is the first of these. Of what is left when a
// command's options are taken off, which is not empty. Fails with ErrorCode::invalid_argument when
// that is not one image.
Result<std::string> option_of_image(std::string_view command,
                                    const std::vector<std::string>& extra);

}  // namespace banyan
