#include "app/cli/print.hpp"

#include <cstdio>

#include "host/linux/stderr_log.hpp"

namespace banyan {

int print_output(const std::string& text) {
    const bool written =
        std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    if (written) return 0;
    print_message("write to standard output: it is closed or full; free it and try again");
    return kStatusFailed;
}

int print_error(const Error& error, int status) {
    print_message(error.text());
    return status;
}

}  // namespace banyan
