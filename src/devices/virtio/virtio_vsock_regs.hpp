// Numbers of the socket device (virtio 1.2, section 5.10).
#pragma once

#include <cstdint>

#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan::virtio {

// 5.10.3 "Feature bits".
inline constexpr uint64_t kVsockStream = bit(0);

// 5.10.4 "Device configuration layout".
struct VsockConfig {
    le64 guest_cid;
};
static_assert(sizeof(VsockConfig) == 8);
inline constexpr uint64_t kVsockHostCid = 2;
inline constexpr uint64_t kVsockFirstGuestCid = 3;
inline constexpr uint64_t kVsockLastGuestCid = 0xffff'fffe;

// 5.10.6 "Device Operation".
struct VsockHeader {
    le64 src_cid;
    le64 dst_cid;
    le32 src_port;
    le32 dst_port;
    le32 len;
    le16 type;
    le16 op;
    le32 flags;
    le32 buf_alloc;
    le32 fwd_cnt;
};
static_assert(sizeof(VsockHeader) == 44);
inline constexpr uint16_t kVsockTypeStream = 1;

enum class VsockOp : uint16_t {
    invalid = 0,
    request = 1,
    response = 2,
    reset = 3,
    shutdown = 4,
    read_write = 5,
    credit_update = 6,
    credit_request = 7,
};

// Flags of a shutdown: the sender of the packet will do no more of this.
inline constexpr uint32_t kVsockShutdownReceive = 1;
inline constexpr uint32_t kVsockShutdownSend = 2;
inline constexpr uint32_t kVsockShutdownBoth = 3;

// 5.10.6.7 "Device Events".
inline constexpr uint32_t kVsockEventTransportReset = 0;

}  // namespace banyan::virtio
