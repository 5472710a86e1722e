// Definitions of VMs in files.
#pragma once

#include <string>

#include "app/definition/vm_definition.hpp"

namespace banyan {

// A TOML file, "-" for standard input. Names of files in it are relative to its own directory.
Result<VmDefinition> read_definition(const std::string& file);
// A libvirt domain's XML. What it has that does not map is printed.
Result<VmDefinition> read_libvirt_definition(const std::string& file);

}  // namespace banyan
