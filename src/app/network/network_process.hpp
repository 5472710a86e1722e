// The process that carries a network: one a user and network, found by its sockets.
#pragma once

#include <optional>
#include <string>

#include "host/linux/helper_program.hpp"
#include "host/linux/run_directory.hpp"
#include "support/result.hpp"

namespace banyan {

// Its files in the RunDirectory.
struct NetworkPaths {
    std::string port;    // members with rings, and those who ask for reports
    std::string stream;  // QEMU and others with a stream of frames
    std::string lock;    // held by the process
    std::string log;     // its messages
};
NetworkPaths network_paths(const RunDirectory& directory, const std::string& name);

// Starts banyan-switch for a network that is defined, unless it runs; returns when members can
// join.
Result<void> start_network(const RunDirectory& directory, const std::string& name,
                           const std::string& program = helper_path("banyan-switch"));

// What it tells of itself, as JSON; nothing: it does not run.
std::optional<std::string> network_report(const RunDirectory& directory, const std::string& name);

// Where the process of that number listens for frames that it captures.
std::string capture_socket(const RunDirectory& directory, int pid);
// Has them sent to the capture_socket() of this process: of a member, or of all if it is empty.
Result<void> capture_network(const RunDirectory& directory, const std::string& name,
                             const std::string& member);

// Ends it, and returns when it has; one that does not run is none.
Result<void> end_network(const RunDirectory& directory, const std::string& name);

}  // namespace banyan
