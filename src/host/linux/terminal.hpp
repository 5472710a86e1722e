// The user's terminal in raw mode, and its restoration whatever happens.
#pragma once

#include <memory>

#include "support/result.hpp"

namespace banyan {

// While it exists the terminal passes every key to the guest (also ^C, ^Z, ^S). What restores the
// old mode: the destructor, exit(), leave(), and the signals that end a process by its own fault
// (SIGABRT, SIGSEGV, ...). Signals from outside are the business of host/linux/signals.hpp: they
// end run loops orderly, and so come to the destructor. At most one exists.
class RawTerminal {
public:
    static Result<std::unique_ptr<RawTerminal>> enter(int fd);
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    // Around a stop of the process (SIGTSTP): the old mode, and raw again if this process is in the
    // foreground.
    void leave();
    void enter_again();

private:
    explicit RawTerminal(int fd) : fd_(fd) {}
    int fd_;
};

// Opens /dev/null for each of the three standard streams that is closed: else the next file that is
// opened would take its place, and be read and written as the console. Before anything is opened.
void fill_standard_streams();

// From any thread.
bool terminal_is_raw();

// The old mode again. Safe in a signal handler; does nothing when the terminal is not raw.
void restore_terminal() noexcept;

}  // namespace banyan
