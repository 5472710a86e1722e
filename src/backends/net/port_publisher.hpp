// PortPublisher: a network whose ports of the host change while it runs.
#pragma once

#include <vector>

#include "backends/net/published_port.hpp"

namespace banyan {

// From any thread.
class PortPublisher {
public:
    // Listens on the host from now on. Fails with ErrorCode::busy where the port is taken.
    virtual Result<void> publish(const PublishedPort& port) = 0;
    // Connections that came by it stay, and its port is free soon. Fails with ErrorCode::not_found.
    virtual Result<void> unpublish(const PublishedPort& port) = 0;
    virtual std::vector<PublishedPort> published() const = 0;

protected:
    ~PortPublisher() = default;
};

}  // namespace banyan
