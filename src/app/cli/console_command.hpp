// `banyan console` and `banyan logs`: the console of a VM in another process.
#pragma once

#include <cstdint>
#include <string>

#include "host/linux/run_directory.hpp"

namespace banyan {

// `vm`: its name or process number.

// The terminal is the console until Ctrl-] is typed or the VM ends; without a terminal, standard
// input and output are it until the VM ends.
enum class ConsoleEnd : uint8_t { left, vm_ended, failed };
ConsoleEnd attach_console(const RunDirectory& directory, const std::string& vm);

struct LogChoice {
    bool follow = false;    // until the VM ends
    bool messages = false;  // Banyan's own instead of the console's output
};
// Of one that runs, or of a stored one's last run. Gives the exit status.
int print_log(const RunDirectory& directory, const std::string& vm, const LogChoice& choice);

}  // namespace banyan
