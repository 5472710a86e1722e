// Definitions of libvirt's domains (https://libvirt.org/formatdomain.html), as far as they map.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/definition/vm_definition.hpp"

namespace banyan {

struct LibvirtImport {
    VmDefinition definition;           // its directory is "/": libvirt's paths are absolute
    std::vector<std::string> ignored;  // elements without a counterpart: "devices/sound"
};

// Fails with ErrorCode::invalid_data when it is no domain, or one that no VM can be made of.
Result<LibvirtImport> import_libvirt(std::string_view file, std::string_view text);

}  // namespace banyan
