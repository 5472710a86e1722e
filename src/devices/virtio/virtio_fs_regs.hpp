// Numbers of the file system device (virtio 1.2, section 5.11).
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/le.hpp"

namespace banyan::virtio {

inline constexpr uint16_t kDeviceFs = 26;  // 5 "Device Types"

// 5.11.2 "Virtqueues", without VIRTIO_FS_F_NOTIFICATION.
inline constexpr unsigned kFsHighPriorityQueue = 0;
inline constexpr unsigned kFsRequestQueue = 1;

// 5.11.4 "Device configuration layout".
inline constexpr size_t kFsTagLength = 36;
struct FsConfig {
    char tag[kFsTagLength] = {};  // padded with NUL, and without one when it is full
    le32 num_request_queues;
};
static_assert(sizeof(FsConfig) == 40);

// 5.11.6 "Device Operation": what each request starts with, and each answer (linux/fuse.h).
inline constexpr uint32_t kFsInHeaderSize = 40;
inline constexpr uint32_t kFsOutHeaderSize = 16;

}  // namespace banyan::virtio
