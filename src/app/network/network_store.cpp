#include "app/network/network_store.hpp"

#include <fmt/format.h>

#include "host/linux/data_directory.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr std::string_view kDefinitionSuffix = ".json";

std::string file_of(const std::string& name) {
    return name + std::string(kDefinitionSuffix);
}

}  // namespace

Result<NetworkStore> NetworkStore::open() {
    TRY_ASSIGN(directory, open_data_directory("networks"));
    return NetworkStore(std::move(directory));
}

Result<NetworkStore> NetworkStore::open_at(const std::string& path) {
    TRY_ASSIGN(directory, open_data_directory_at(path));
    return NetworkStore(std::move(directory));
}

std::vector<std::string> NetworkStore::names() const {
    std::vector<std::string> names;
    for (const std::string& file : directory_.names()) {
        if (!file.ends_with(kDefinitionSuffix)) continue;
        std::string name = file.substr(0, file.size() - kDefinitionSuffix.size());
        if (is_network_name(name)) names.push_back(std::move(name));
    }
    return names;
}

bool NetworkStore::has(const std::string& name) const {
    return is_network_name(name) && directory_.read(file_of(name)).has_value();
}

Result<NetworkDefinition> NetworkStore::read(const std::string& name) const {
    const auto text = is_network_name(name) ? directory_.read(file_of(name)) : std::nullopt;
    if (!text) {
        return fail(ErrorCode::not_found,
                    fmt::format("the network {}: there is none of that name; make it with banyan "
                                "network create, or see banyan network list",
                                quote_name(name)));
    }
    return network_from_json(name, *text);
}

Result<void> NetworkStore::write(const NetworkDefinition& network) const {
    TRY(validate(network));
    return directory_.write(file_of(network.name), to_json(network));
}

void NetworkStore::remove(const std::string& name) const {
    if (is_network_name(name)) directory_.remove(file_of(name));
}

std::vector<Ipv4Subnet> NetworkStore::subnets() const {
    std::vector<Ipv4Subnet> all;
    for (const std::string& name : names()) {
        if (const auto network = read(name)) all.push_back(network->subnet);
    }
    return all;
}

}  // namespace banyan
