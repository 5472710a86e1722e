// ProgressBar: how far long work is, on a terminal.
#pragma once

#include <cstdint>
#include <string>

namespace banyan {

// One line on standard error, written over again. Nothing when that is not a terminal.
class ProgressBar {
public:
    ProgressBar();
    ~ProgressBar();  // removes the line
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    void show(uint64_t done, uint64_t all);

private:
    const bool at_terminal_;
    int shown_ = -1;  // per cent
};

// The line for so many per cent.
std::string progress_line(int percent);

}  // namespace banyan
