// NetworkStore: where the definitions of a user's networks are kept.
#pragma once

#include <string>
#include <vector>

#include "app/network/network_definition.hpp"
#include "host/linux/run_directory.hpp"

namespace banyan {

class NetworkStore {
public:
    // "networks" in the user's data_directory(); made if need be.
    static Result<NetworkStore> open();
    static Result<NetworkStore> open_at(const std::string& path);

    // In order.
    std::vector<std::string> names() const;
    bool has(const std::string& name) const;
    // ErrorCode::not_found: there is none of that name.
    Result<NetworkDefinition> read(const std::string& name) const;
    Result<void> write(const NetworkDefinition& network) const;
    void remove(const std::string& name) const;
    // Of all that can be read.
    std::vector<Ipv4Subnet> subnets() const;

private:
    explicit NetworkStore(RunDirectory directory) : directory_(std::move(directory)) {}

    RunDirectory directory_;
};

}  // namespace banyan
