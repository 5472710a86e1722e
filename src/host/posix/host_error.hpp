// Errors of host calls, in the form "what: why; what to do".
#pragma once

#include <string>
#include <string_view>

#include "support/result.hpp"

namespace banyan {

// A file name for a message: in quotes, on one line (control characters become '?'), long ones cut
// in the middle.
std::string quote_name(std::string_view name);

// What strerror() says, from any thread.
std::string errno_text(int error_number);

// "what: <errno_text>; remedy", with the code that suits the error number.
tl::unexpected<Error> host_fail(int error_number, std::string_view what, std::string_view remedy);

}  // namespace banyan
