#include "support/log.hpp"

#include <cstdarg>
#include <cstdio>

namespace banyan {

namespace {

constexpr uint64_t kWindowNs = 1'000'000'000;

LogSink g_sink = nullptr;
LogClock g_clock = nullptr;
std::atomic<LogLevel> g_level{LogLevel::warning};

}  // namespace

void set_log_sink(LogSink sink, LogClock clock) {
    g_sink = sink;
    g_clock = clock;
}

void set_log_level(LogLevel level) {
    g_level.store(level, std::memory_order_relaxed);
}

bool log_enabled(LogLevel level) {
    return g_sink != nullptr && level <= g_level.load(std::memory_order_relaxed);
}

void log_message(LogLevel level, const char* component, const char* format, ...) {
    if (g_sink == nullptr) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    g_sink(level, component, text);
}

bool LogLimiter::admit(uint32_t& dropped) {
    dropped = 0;
    const uint64_t now = g_clock != nullptr ? g_clock() : 0;
    uint64_t start = window_start_.load(std::memory_order_relaxed);
    if (now - start >= kWindowNs &&
        window_start_.compare_exchange_strong(start, now, std::memory_order_relaxed)) {
        const uint32_t seen = count_.exchange(1, std::memory_order_relaxed);
        dropped = seen > kBurst ? seen - kBurst : 0;
        return true;
    }
    return count_.fetch_add(1, std::memory_order_relaxed) < kBurst;
}

}  // namespace banyan
