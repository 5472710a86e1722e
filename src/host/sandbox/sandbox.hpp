// Takes from this process what it does not need any more once its VM runs: files, programs,
// sockets, signals to others, new executable memory. docs/security.md says what that holds off.
#pragma once

#include <string>
#include <vector>

#include "host/sandbox/landlock.hpp"
#include "host/sandbox/sandbox_mode.hpp"
#include "support/result.hpp"

namespace banyan {

// What the process still needs.
struct SandboxNeeds {
    std::vector<landlock::Place> files;
    bool nat = false;     // connections to the host's network
    bool shares = false;  // shared directories, which are among the files; root's are anybody's
};

// What holds, for those who ask.
struct SandboxReport {
    SandboxMode mode = SandboxMode::off;
    bool seccomp = false;
    int landlock = 0;         // version of the interface; 0: there is none
    std::string weaker = {};  // why less holds than could; empty: nothing is missing
};

// What this host has, whichever VM is asked about.
SandboxReport sandbox_of_host();

// For good, on all threads that there are and that will be. To be called when all is opened that
// `needs` does not name, before the guest runs; threads may wait, but none may start or end
// meanwhile. What the kernel does not know is left out, and reported.
Result<SandboxReport> enter_sandbox(SandboxMode mode, const SandboxNeeds& needs);

// The handles that this process was started with, beyond the standard ones.
class InheritedHandles {
public:
    // Before anything is opened.
    static InheritedHandles find();
    // What was opened by their names (/dev/fd/N) stays.
    void close() const;

private:
    std::vector<int> handles_;
};

}  // namespace banyan
