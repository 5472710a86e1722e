// `banyan run --detach`: the VM's process goes to the background once the guest runs.
#pragma once

#include <functional>
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
        std::string orders;            // in the VM's process
    };
    // In the caller's process, once the VM's is there: what that one is told. Fails: there is to be
    // no VM.
    using Orders = std::function<Result<std::string>(pid_t vm)>;
    // `command` begins messages.
    static Result<Start> start(std::string_view command, const Orders& orders);
    ~Detached();  // removes what was kept of a VM that is not stored
    Detached(const Detached&) = delete;
    Detached& operator=(const Detached&) = delete;

    // What has the default becomes a socket in the run directory with a log. Logs are there, too,
    // or in the directory of a stored VM.
    Result<void> set_console(ConsoleChoice& console, const std::string& stored);
    // The guest runs: the caller goes on, and messages go to a file from now on. False when the
    // caller has gone, and nobody knows of this VM.
    bool let_caller_go(const std::string& name);

private:
    Detached(UniqueFd started, RunDirectory directory)
        : started_(std::move(started)), directory_(std::move(directory)) {}
    std::string place(std::string_view kind) const;

    UniqueFd started_;  // to the caller
    RunDirectory directory_;
    std::unique_ptr<RotatingFile> messages_;
    bool logs_are_kept_ = false;
};

}  // namespace banyan
