// Definitions of VMs as TOML: a key is a long option of `banyan create`, or `name` or `directory`.
//
//     name = 'debian'
//     memory = '1G'
//     cpus = 2
//     disk = [ 'debian.qcow2', 'data.img,readonly=on' ]
//     restart = 'on-failure'
#pragma once

#include <string>
#include <string_view>

#include "app/definition/vm_definition.hpp"

namespace banyan {

// `directory` is where it is without such a key, and what such a key is relative to. `file` is for
// messages. Fails with ErrorCode::invalid_data.
Result<VmDefinition> definition_from_toml(std::string_view file, std::string_view text,
                                          const std::string& directory);
std::string to_toml(const VmDefinition& definition);

}  // namespace banyan
