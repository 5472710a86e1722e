// `banyan run --detach`: the VM's process goes to the background once the guest runs.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "host/linux/run_directory.hpp"
#include "host/posix/rotating_file.hpp"
#include "host/posix/unique_fd.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

// In the process of the VM.
class Detached {
public:
    // Starts that process and returns in both. In the caller's, `status` is set once the VM runs or
    // has failed: what is left is to exit with it. The VM's name, and what went wrong, is printed.
    // Before there are threads.
    struct Start {
        std::optional<int> status;
        std::unique_ptr<Detached> vm;  // null in the caller's process
    };
    static Result<Start> start();
    ~Detached();  // removes what was kept of the VM
    Detached(const Detached&) = delete;
    Detached& operator=(const Detached&) = delete;

    // What has the default becomes a socket with a log, both in the run directory.
    Result<void> set_console(ConsoleChoice& console);
    // The guest runs: the caller goes on, and messages go to a file from now on. False when the
    // caller has gone, and nobody knows of this VM.
    bool let_caller_go(const std::string& name);

private:
    Detached(UniqueFd started, RunDirectory directory)
        : started_(std::move(started)), directory_(std::move(directory)) {}

    UniqueFd started_;  // to the caller
    RunDirectory directory_;
    std::unique_ptr<RotatingFile> messages_;
};

}  // namespace banyan
