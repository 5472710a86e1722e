// BANYAN_ASSERT: a defect of ours, checked in every build. Never reachable by what a guest, file or
// peer does.
#pragma once

namespace banyan {

// Prints one line and aborts. Defined by support/assert.cpp.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace banyan

#define BANYAN_ASSERT(expression)                                        \
    do {                                                                 \
        if (!(expression)) [[unlikely]] {                                \
            ::banyan::assertion_failed(#expression, __FILE__, __LINE__); \
        }                                                                \
    } while (false)
