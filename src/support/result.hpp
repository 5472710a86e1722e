// Result<T>: a value, or an Error that says what happened.
//
// Used for host and configuration failures. What a guest does wrong is never an Error: devices
// answer it with IoStatus (vm/device.hpp), engines with an architectural fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <tl/expected.hpp>

namespace banyan {

enum class ErrorCode : uint8_t {
    invalid_argument,  // what the user asked for makes no sense
    not_found,         // no such file, device or name
    permission,        // the host refused
    unsupported,       // understood, but this build or host cannot do it
    invalid_data,      // an image, saved state or table is malformed
    out_of_memory,
    io,        // the host failed while reading or writing
    busy,      // in use by somebody else
    no_space,  // the host's disk is full: may work when there is room again
};

// An error code with a message of the form "what: why; what to do". Holds its text inline (no
// allocation), cut at kMaxText characters.
class Error {
public:
    static constexpr size_t kMaxText = 251;

    Error(ErrorCode code, std::string_view text) : code_(code) {
        length_ = static_cast<uint8_t>(text.size() < kMaxText ? text.size() : kMaxText);
        std::memcpy(text_, text.data(), length_);
        text_[length_] = '\0';
    }

    ErrorCode code() const { return code_; }
    std::string_view text() const { return {text_, length_}; }

private:
    ErrorCode code_;
    uint8_t length_ = 0;
    char text_[kMaxText + 1];
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string_view text) {
    return tl::unexpected<Error>(Error(code, text));
}

}  // namespace banyan

#define BANYAN_CONCAT_INNER(a, b) a##b
#define BANYAN_CONCAT(a, b) BANYAN_CONCAT_INNER(a, b)

// Returns the error of `expr` (a Result<void>) to the caller, if it has one.
#define TRY(expr)                                                                  \
    do {                                                                           \
        if (auto try_result = (expr); !try_result) {                               \
            return tl::unexpected<::banyan::Error>(std::move(try_result.error())); \
        }                                                                          \
    } while (false)

// Declares `var` as the value of `expr` (a Result<T>), or returns its error to the caller.
#define TRY_ASSIGN(var, expr)                                         \
    auto BANYAN_CONCAT(try_result_, __LINE__) = (expr);               \
    if (!BANYAN_CONCAT(try_result_, __LINE__)) {                      \
        return tl::unexpected<::banyan::Error>(                       \
            std::move(BANYAN_CONCAT(try_result_, __LINE__).error())); \
    }                                                                 \
    auto var = std::move(*BANYAN_CONCAT(try_result_, __LINE__))
