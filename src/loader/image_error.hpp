// Errors about a file that the user gave: "kernel 'FILE': why; what to do".
#pragma once

#include <string_view>

#include "support/result.hpp"

namespace banyan::loader {

// `what` is "kernel" or "initrd". A long name is cut at its front, so that the message keeps its
// end.
[[gnu::format(printf, 4, 5)]] tl::unexpected<Error> image_error(ErrorCode code, const char* what,
                                                                std::string_view name,
                                                                const char* format, ...);

// Bytes as a message shows them, rounded up: "17M".
constexpr unsigned long long in_mib(uint64_t bytes) {
    return (bytes + (1U << 20) - 1) >> 20;
}

}  // namespace banyan::loader
