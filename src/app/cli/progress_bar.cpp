#include "app/cli/progress_bar.hpp"

#include <fmt/format.h>
#include <string_view>
#include <unistd.h>

namespace banyan {

namespace {

constexpr std::string_view kClearLine = "\r\x1B[K";

void write_to_terminal(std::string_view text) {
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

std::string progress_line(int percent) {
    const auto full = static_cast<size_t>(percent) / 2;
    return fmt::format("[{}{}] {} %", std::string(full, '='), std::string(50 - full, ' '), percent);
}

ProgressBar::ProgressBar() : at_terminal_(::isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() {
    if (shown_ >= 0) write_to_terminal(kClearLine);
}

void ProgressBar::show(uint64_t done, uint64_t all) {
    if (!at_terminal_ || all == 0) return;
    const auto percent =
        static_cast<int>(static_cast<double>(done) * 100.0 / static_cast<double>(all));
    if (percent == shown_) return;
    shown_ = percent;
    write_to_terminal(std::string(kClearLine) + progress_line(percent));
}

}  // namespace banyan
