// How frames travel to who captures them while a VM or a switch runs: on a Unix stream, each with
// this header before it. The reader makes a file of them.
#pragma once

#include "support/le.hpp"

namespace banyan {

struct FrameRecordHeader {
    le32 seconds;  // by the calendar
    le32 nanoseconds;
    le32 size;  // of the frame that follows, at most kLargestNetFrame
    le32 lost;  // before it, for which the stream had no room
};
static_assert(sizeof(FrameRecordHeader) == 16);

}  // namespace banyan
