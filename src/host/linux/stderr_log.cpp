#include "host/linux/stderr_log.hpp"

#include <atomic>
#include <fmt/format.h>
#include <iterator>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "host/linux/terminal.hpp"
#include "host/posix/rotating_file.hpp"
#include "host/posix/unique_fd.hpp"

namespace banyan {

namespace {

constexpr int kPatienceMs = 1000;  // with a standard error that nobody reads

std::atomic<RotatingFile*> message_file{nullptr};  // null: standard error

const char* level_prefix(LogLevel level) {
    switch (level) {
        case LogLevel::error: return "";
        case LogLevel::warning: return "warning: ";
        case LogLevel::info: return "info: ";
        case LogLevel::debug: return "debug: ";
    }
    return "";
}

void write_all(std::string_view text) {
    while (!text.empty()) {
        const ssize_t count =
            retry_interrupted([&] { return ::write(STDERR_FILENO, text.data(), text.size()); });
        if (count > 0) {
            text.remove_prefix(static_cast<size_t>(count));
            continue;
        }
        // Whoever shares the terminal or pipe may have made it non-blocking.
        pollfd waiting{STDERR_FILENO, POLLOUT, 0};
        if (errno != EAGAIN || ::poll(&waiting, 1, kPatienceMs) <= 0) return;
    }
}

void sink(LogLevel level, const char* component, const char* text) {
    print_message(fmt::format("{}{}: {}", level_prefix(level), component, text));
}

uint64_t log_clock() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

void install_stderr_log() {
    set_log_sink(sink, log_clock);
}

void print_message(std::string_view text) {
    std::string line = fmt::format("banyan: {}", text);
    for (char& c : line) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) c = '?';
    }
    if (RotatingFile* const file = message_file) return file->write(line + '\n');
    // A raw terminal does not return to the first column by itself.
    line += terminal_is_raw() && ::isatty(STDERR_FILENO) != 0 ? "\r\n" : "\n";
    write_all(line);
}

void write_messages_to(RotatingFile* file) {
    message_file = file;
}

}  // namespace banyan
