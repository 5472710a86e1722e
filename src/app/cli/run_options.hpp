// The options of `banyan run`, and the VmConfig that they make.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/cli/gdb_service.hpp"
#include "app/cli/resource_options.hpp"
#include "app/cli/vnc_service.hpp"
#include "support/log.hpp"
#include "support/result.hpp"
#include "vmm/vm_config.hpp"

namespace CLI {
class App;
}

namespace banyan {

// The options as they were given. An empty text stands for the default.
struct RunOptions {
    std::string name;
    std::string engine;
    std::string machine;
    std::string cpus;
    std::string memory;
    std::string cpu;
    std::string kernel;
    std::vector<std::string> initrds;
    std::string append;
    std::string firmware;
    std::string nvram;
    std::string boot;
    std::vector<std::string> disks;
    std::vector<std::string> floppies;
    std::string watchdog;
    std::vector<std::string> cdroms;
    std::vector<std::string> nets;
    std::vector<std::string> published;
    std::vector<std::string> shares;
    std::string rng;
    std::string balloon;
    std::string vsock;
    std::string console;
    std::string vga;
    std::string display;
    std::string debug_exit;
    std::string debugcon;
    std::string gdb;
    std::string control;
    std::string sandbox;
    std::vector<std::string> writable;
    std::string log_level;
    std::vector<std::string> traces;
    ResourceOptions resources;
    bool no_reboot = false;
    bool detach = false;
    bool rm = false;  // nothing of a VM that has ended is kept anyway

    // Options of docs/cli.md that were given and do not work yet.
    std::vector<std::string> unsupported;
};

// Declares the options at a command; parsing fills `options`, which must outlive it.
void add_run_options(CLI::App& command, RunOptions& options);

// FILE[,KEY=VALUE]..., as --disk has it.
Result<DiskFile> parse_disk(const std::string& text);

Result<VmConfig> make_config(const RunOptions& options);
Result<std::optional<GdbChoice>> gdb_of(const RunOptions& options);
Result<std::optional<VncChoice>> vnc_of(const RunOptions& options);
Result<LogLevel> log_level_of(const RunOptions& options);

}  // namespace banyan
