// A small process that connects a confined VM to the Unix sockets that it may reach, and removes
// the VM's own when it has gone. It alone of the two can make such sockets: so the VM reaches those
// that its configuration names, and not whatever else is a socket in the same file system.
#pragma once

#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

struct BrokerTargets {
    std::vector<std::string> sockets;   // may be connected to
    std::vector<std::string> prefixes;  // so may these, followed by a decimal number
    std::vector<std::string> removed;   // the VM's own sockets, when it has gone

    bool empty() const { return sockets.empty() && prefixes.empty() && removed.empty(); }
};

// A VM asks for no others. Both sides may be hostile to this one.
bool may_connect(const BrokerTargets& targets, const std::string& path);

class SocketBroker {
public:
    // From then on connect_unix() asks it. While the process has one thread. Once.
    static Result<std::unique_ptr<SocketBroker>> start(const BrokerTargets& targets);
    // The files that are to be removed are there now: those and no others of their names.
    void remember_files() const;
    // It ends when nothing of this process is left; waits for that.
    ~SocketBroker();
    SocketBroker(const SocketBroker&) = delete;
    SocketBroker& operator=(const SocketBroker&) = delete;

private:
    explicit SocketBroker(pid_t process) : process_(process) {}

    pid_t process_;
};

}  // namespace banyan
