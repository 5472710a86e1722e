// What GDB is told of the target's registers: GDB manual, appendix G "Target Descriptions".
#pragma once

#include <string>

namespace banyan::gdb {

// target.xml, which lists registers() in their order.
const std::string& target_description();

}  // namespace banyan::gdb
