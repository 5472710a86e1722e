// Logging: levels by who must act, sinks installed by the host.
//
//   error    the user must act; warning: the user should know; info: life cycle; debug: for
//   developers of Banyan.
//
// Anything a guest can trigger uses LOG_LIMITED, which lets a few messages a second through per
// call site and counts the rest. Formatting is printf's: checked by the compiler, free of
// allocation.
#pragma once

#include <atomic>
#include <cstdint>

namespace banyan {

enum class LogLevel : uint8_t { error, warning, info, debug };

// Receives each message; `text` is one line without a line feed. May be called from any thread.
using LogSink = void (*)(LogLevel level, const char* component, const char* text);

// Times for rate limits, in nanoseconds from any origin. May be called from any thread.
using LogClock = uint64_t (*)();

// Installed once at start, before other threads exist. Without a sink, messages are dropped.
void set_log_sink(LogSink sink, LogClock clock);
void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);

[[gnu::format(printf, 3, 4)]] void log_message(LogLevel level, const char* component,
                                               const char* format, ...);

// Lets kBurst messages through in each second; says afterwards how many were dropped.
class LogLimiter {
public:
    static constexpr uint32_t kBurst = 5;
    // Returns true when a message may pass; `dropped` is how many were held back before it.
    bool admit(uint32_t& dropped);

private:
    std::atomic<uint64_t> window_start_{0};
    std::atomic<uint32_t> count_{0};
};

}  // namespace banyan

#define LOG_AT(level, component, ...)                             \
    do {                                                          \
        if (::banyan::log_enabled(level)) {                       \
            ::banyan::log_message(level, component, __VA_ARGS__); \
        }                                                         \
    } while (false)
#define LOG_ERROR(component, ...) LOG_AT(::banyan::LogLevel::error, component, __VA_ARGS__)
#define LOG_WARNING(component, ...) LOG_AT(::banyan::LogLevel::warning, component, __VA_ARGS__)
#define LOG_INFO(component, ...) LOG_AT(::banyan::LogLevel::info, component, __VA_ARGS__)
#define LOG_DEBUG(component, ...) LOG_AT(::banyan::LogLevel::debug, component, __VA_ARGS__)

// For what a guest can trigger.
#define LOG_LIMITED(level, component, ...)                                                  \
    do {                                                                                    \
        static ::banyan::LogLimiter banyan_limiter;                                         \
        uint32_t banyan_dropped = 0;                                                        \
        if (::banyan::log_enabled(level) && banyan_limiter.admit(banyan_dropped)) {         \
            if (banyan_dropped != 0) {                                                      \
                ::banyan::log_message(level, component, "%u similar messages were dropped", \
                                      banyan_dropped);                                      \
            }                                                                               \
            ::banyan::log_message(level, component, __VA_ARGS__);                           \
        }                                                                                   \
    } while (false)
