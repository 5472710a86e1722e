// The calendar registers of the CMOS clock: packing and unpacking dates as register B's mode bits
// say.
#pragma once

#include <cstdint>

namespace banyan {}  // namespace banyan
