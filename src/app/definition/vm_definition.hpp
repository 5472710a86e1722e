// VmDefinition: what a user said of a VM that is kept.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "manager/store/vm_store.hpp"

namespace banyan {

// Options of `banyan run` by their long names, without values that they have by default:
// {"memory": "1G", "cpus": 2, "disk": ["a.qcow2", "b.img,readonly=on"], "no-reboot": true}.
using OptionValues = nlohmann::ordered_json;

struct VmDefinition {
    std::string name;
    std::string directory;  // absolute: names of files are relative to it
    RestartPolicy restart = RestartPolicy::no;
    bool autostart = false;
    OptionValues options = OptionValues::object();

    bool operator==(const VmDefinition&) const = default;
};

// An object of texts, numbers that are not negative, switches and lists of texts. `what` begins the
// message of an error. Whether there are such options is not looked at.
Result<void> check_options(std::string_view what, const OptionValues& options);

StoredDefinition to_stored(const VmDefinition& definition);
Result<VmDefinition> from_stored(const StoredDefinition& stored);

Result<RestartPolicy> parse_restart(std::string_view option, std::string_view text);

}  // namespace banyan
