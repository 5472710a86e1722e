// How QMP writes what becomes of a VM (QEMU's qapi/run-state.json, qapi/block-core.json and
// qapi/qdev.json).
#pragma once

#include <chrono>

#include "control/qmp/commands.hpp"
#include "vmm/vm_api.hpp"

namespace banyan::qmp {

// Since 1970.
using Time = std::chrono::microseconds;

Json event_of(const VmEvent& event, const VmConfig& config, Time now);

}  // namespace banyan::qmp
