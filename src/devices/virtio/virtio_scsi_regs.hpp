// Numbers of the SCSI host device (virtio 1.2, section 5.6).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/le.hpp"

namespace banyan::virtio {

// 5.6.2 "Virtqueues".
inline constexpr unsigned kScsiControlQueue = 0;
inline constexpr unsigned kScsiEventQueue = 1;
inline constexpr unsigned kScsiRequestQueue = 2;

// 5.6.4 "Device configuration layout".
struct ScsiConfig {
    le32 num_queues;
    le32 seg_max;
    le32 max_sectors;
    le32 cmd_per_lun;
    le32 event_info_size;
    le32 sense_size;
    le32 cdb_size;
    le16 max_channel;
    le16 max_target;
    le32 max_lun;
};
static_assert(sizeof(ScsiConfig) == 36);
inline constexpr uint32_t kScsiEventSize = 16;
inline constexpr uint32_t kScsiDefaultSenseSize = 96;
inline constexpr uint32_t kScsiDefaultCdbSize = 32;

// 5.6.6.1 "Device Operation: Request Queues". The command block follows, of cdb_size bytes.
using ScsiLun = std::array<uint8_t, 8>;
struct ScsiRequestHeader {
    ScsiLun lun{};
    le64 id;
    uint8_t task_attribute = 0;
    uint8_t priority = 0;
    uint8_t crn = 0;
};
static_assert(sizeof(ScsiRequestHeader) == 19);

// Sense data follow, of sense_size bytes.
struct ScsiResponseHeader {
    le32 sense_length;
    le32 residual;
    le16 status_qualifier;
    uint8_t status = 0;
    uint8_t response = 0;
};
static_assert(sizeof(ScsiResponseHeader) == 12);

enum class ScsiResponse : uint8_t {
    ok = 0,  // also: function complete
    overrun = 1,
    bad_target = 3,
    function_succeeded = 10,
    function_rejected = 11,
    incorrect_lun = 12,
};

// 5.6.6.2 "Device Operation: controlq".
enum class ScsiControlType : uint32_t {
    task_management = 0,
    query_notifications = 1,
    subscribe_notifications = 2,
};
enum class ScsiTaskFunction : uint32_t {
    abort_task = 0,
    abort_task_set = 1,
    clear_aca = 2,
    clear_task_set = 3,
    nexus_reset = 4,
    logical_unit_reset = 5,
    query_task = 6,
    query_task_set = 7,
};
struct ScsiTaskManagement {
    le32 type;
    le32 function;
    ScsiLun lun{};
    le64 id;
};
static_assert(sizeof(ScsiTaskManagement) == 24);
inline constexpr size_t kScsiNotificationSize = 16;  // type, LUN, events asked for
struct ScsiNotificationResponse {
    le32 events;
    uint8_t response = 0;
};
static_assert(sizeof(ScsiNotificationResponse) == 5);

}  // namespace banyan::virtio
