// The file format of libpcap, version 2.4, with times in nanoseconds
// (draft-ietf-opsawg-pcap, sections 4 and 5). All in the writer's order of bytes.
#pragma once

#include <cstdint>

#include "support/le.hpp"

namespace banyan::pcap {

struct FileHeader {
    le32 magic = 0xA1B23C4D;
    le16 major = uint16_t{2};
    le16 minor = uint16_t{4};
    le32 reserved[2];
    le32 snap_length = 262144;
    le32 link_type = 1;  // Ethernet
};
static_assert(sizeof(FileHeader) == 24);

struct RecordHeader {
    le32 seconds;
    le32 nanoseconds;
    le32 captured_length;
    le32 original_length;
};
static_assert(sizeof(RecordHeader) == 16);

}  // namespace banyan::pcap
