// Registers, commands and status codes of NVMe (NVM Express Base Specification 1.4).
#pragma once

#include <cstdint>

#include "support/le.hpp"
#include "support/reg.hpp"

namespace banyan::nvme {

// Section 3.1 "Register definition". Those of 64 bits may be accessed by halves.
enum class Reg : uint32_t {
    capabilities = 0x00,       // r, 64 bits
    version = 0x08,            // r
    mask_set = 0x0C,           // rw
    mask_clear = 0x10,         // rw
    configuration = 0x14,      // rw
    status = 0x1C,             // r
    admin_queue_sizes = 0x24,  // rw
    admin_submission = 0x28,   // rw, 64 bits
    admin_completion = 0x30,   // rw, 64 bits
};
inline constexpr uint32_t kDoorbells = 0x1000;  // four bytes each: tail of SQ 0, head of CQ 0, ...
inline constexpr uint32_t kRegistersSize = 0x4000;
inline constexpr uint32_t kVersion14 = 0x0001'0400;

// Section 3.1.1.
struct Capabilities : banyan::Reg<uint64_t> {
    using MaxQueueEntries = Field<Capabilities, 15, 0, uint16_t>;  // less one
    using ContiguousQueues = Field<Capabilities, 16, 16, bool>;
    using Timeout = Field<Capabilities, 31, 24, uint8_t>;  // 500 ms
    using NvmCommandSet = Field<Capabilities, 37, 37, bool>;
};

// Section 3.1.5.
struct Configuration : banyan::Reg<uint32_t> {
    using Enable = Field<Configuration, 0, 0, bool>;
    using CommandSet = Field<Configuration, 6, 4, uint8_t>;
    using PageSize = Field<Configuration, 10, 7, uint8_t>;  // 2^(12 + n)
    using Arbitration = Field<Configuration, 13, 11, uint8_t>;
    using Shutdown = Field<Configuration, 15, 14, uint8_t>;
    using SubmissionEntry = Field<Configuration, 19, 16, uint8_t>;  // 2^n bytes
    using CompletionEntry = Field<Configuration, 23, 20, uint8_t>;
    static constexpr uint32_t kWritable = mask<uint32_t>(23, 4) | 1;
};

// Section 3.1.6.
struct Status : banyan::Reg<uint32_t> {
    using Ready = Field<Status, 0, 0, bool>;
    using Fatal = Field<Status, 1, 1, bool>;
    using Shutdown = Field<Status, 3, 2, uint8_t>;  // 1: occurring, 2: complete
};

// Section 3.1.8.
struct AdminQueueSizes : banyan::Reg<uint32_t> {
    using Submission = Field<AdminQueueSizes, 11, 0, uint16_t>;  // less one
    using Completion = Field<AdminQueueSizes, 27, 16, uint16_t>;
    static constexpr uint32_t kWritable = mask<uint32_t>(27, 16) | mask<uint32_t>(11, 0);
};

// Section 4.2 "Submission queue entry".
struct Command {
    uint8_t opcode = 0;
    uint8_t flags = 0;  // fused operation, PRPs or SGLs
    le16 id;
    le32 nsid;
    le32 cdw2;
    le32 cdw3;
    le64 metadata;
    le64 prp1;
    le64 prp2;
    le32 cdw10;
    le32 cdw11;
    le32 cdw12;
    le32 cdw13;
    le32 cdw14;
    le32 cdw15;
};
static_assert(sizeof(Command) == 64);
inline constexpr uint8_t kPlainCommand = 0;  // of flags: not fused, PRPs

// Section 4.6 "Completion queue entry"; the phase tag is written last.
struct Completion {
    le32 result;
    le32 reserved;
    le16 sq_head;
    le16 sq_id;
    le16 command_id;
    le16 status_and_phase;
};
static_assert(sizeof(Completion) == 16);

// Figure 139 "Opcodes for admin commands", figure 346 "Opcodes for NVM commands".
enum class Admin : uint8_t {
    delete_sq = 0x00,
    create_sq = 0x01,
    get_log_page = 0x02,
    delete_cq = 0x04,
    create_cq = 0x05,
    identify = 0x06,
    abort = 0x08,
    set_features = 0x09,
    get_features = 0x0A,
    async_event_request = 0x0C,
};
enum class Io : uint8_t {
    flush = 0x00,
    write = 0x01,
    read = 0x02,
    write_zeroes = 0x08,
    dataset_management = 0x09,
};

// Section 4.6.1 "Status field definition": status code type above the code.
enum StatusCode : uint16_t {
    SUCCESS = 0x000,
    INVALID_OPCODE = 0x001,
    INVALID_FIELD = 0x002,
    DATA_TRANSFER_ERROR = 0x004,
    INTERNAL_ERROR = 0x006,
    INVALID_NAMESPACE = 0x00B,
    COMMAND_SEQUENCE_ERROR = 0x00C,
    PRP_OFFSET_INVALID = 0x013,
    LBA_OUT_OF_RANGE = 0x080,
    CQ_INVALID = 0x100,
    QUEUE_ID_INVALID = 0x101,
    QUEUE_SIZE_INVALID = 0x102,
    ASYNC_EVENT_LIMIT = 0x105,
    INTERRUPT_VECTOR_INVALID = 0x108,
    LOG_PAGE_INVALID = 0x109,
    QUEUE_DELETION_INVALID = 0x10C,
    FEATURE_NOT_SAVEABLE = 0x10D,
    FEATURE_NOT_CHANGEABLE = 0x10E,
    WRITE_TO_READ_ONLY = 0x182,
    WRITE_FAULT = 0x280,
    UNRECOVERED_READ_ERROR = 0x281,
};
inline constexpr uint16_t kDoNotRetry = 0x4000;

// Figure 271 "Feature identifiers".
enum class Feature : uint8_t {
    arbitration = 0x01,
    power_management = 0x02,
    temperature_threshold = 0x04,
    error_recovery = 0x05,
    volatile_write_cache = 0x06,
    number_of_queues = 0x07,
    interrupt_coalescing = 0x08,
    interrupt_vector = 0x09,
    write_atomicity = 0x0A,
    async_events = 0x0B,
};
inline constexpr uint32_t kSaveFeature = 1U << 31;

enum class LogPage : uint8_t { errors = 1, health = 2, firmware = 3 };

// Figure 147 "Asynchronous event request completion": type, information, log page.
inline constexpr uint32_t kEventInvalidDoorbell = 0x01'0000;
inline constexpr uint32_t kEventInvalidDoorbellValue = 0x01'0100;
inline constexpr uint32_t kEventTemperature = 0x02'0101;

// Command dwords.
inline constexpr uint32_t kContiguous = 1;              // CREATE: PC
inline constexpr uint32_t kInterruptsEnabled = 2;       // CREATE CQ: IEN
inline constexpr uint32_t kForceUnitAccess = 1U << 30;  // READ, WRITE
inline constexpr uint32_t kDeallocate = 4;              // DATASET MANAGEMENT: AD
inline constexpr uint32_t kRetainEvent = 1U << 15;      // GET LOG PAGE: RAE

inline constexpr uint32_t kPage = 4096;
inline constexpr uint32_t kBlock = 512;
inline constexpr unsigned kMaxTransferPower = 7;  // MDTS: 2^7 pages

// Figure 359 "Dataset management - range definition".
struct Range {
    le32 attributes;
    le32 blocks;
    le64 first;
};
static_assert(sizeof(Range) == 16);

}  // namespace banyan::nvme
