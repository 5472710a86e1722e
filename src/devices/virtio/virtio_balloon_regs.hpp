// Numbers of the memory balloon (virtio 1.2, section 5.5).
#pragma once

#include <cstdint>

#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan::virtio {

// 5.5.3 "Feature bits".
inline constexpr uint64_t kBalloonStatsVq = bit(1);
inline constexpr uint64_t kBalloonDeflateOnOom = bit(2);
inline constexpr uint64_t kBalloonPagePoison = bit(4);
inline constexpr uint64_t kBalloonPageReporting = bit(5);

// 5.5.4 "Device configuration layout".
struct BalloonConfig {
    le32 num_pages;  // wanted in the balloon
    le32 actual;     // there, as the driver writes
    le32 free_page_hint_cmd_id;
    le32 poison_val;
};
static_assert(sizeof(BalloonConfig) == 16);

// 5.5.6: pages have 4 KiB here, whatever the guest's have.
inline constexpr unsigned kBalloonPageShift = 12;

// 5.5.6.3 "Memory Statistics".
struct BalloonStat {
    le16 tag;
    le64 value;
};
static_assert(sizeof(BalloonStat) == 10);

// 5.5.6.4 "Memory Statistics Tags".
enum class BalloonTag : uint16_t {
    swap_in = 0,
    swap_out = 1,
    major_faults = 2,
    minor_faults = 3,
    free_memory = 4,
    total_memory = 5,
    available_memory = 6,
    disk_caches = 7,
    huge_page_allocations = 8,
    huge_page_failures = 9,
};

}  // namespace banyan::virtio
