#include "cpu/interp/kvm_clock.hpp"

#include "cpu/interp/cpu.hpp"
#include "support/assert.hpp"

namespace banyan::interp {

namespace {

constexpr uint8_t kTscStable =
    1;  // all vCPUs' records agree, so that the guest need not guard against going backwards

struct TimeRecord {
    uint32_t version;
    uint32_t pad;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
    uint16_t pad2;
};
static_assert(sizeof(TimeRecord) == 32);

struct WallClock {
    uint32_t version;
    uint32_t seconds;
    uint32_t nanoseconds;
};
static_assert(sizeof(WallClock) == 12);

}  // namespace

// The multiplier gets its top bit set, for the best precision that 32 bits can give.
TscScale tsc_to_ns_scale(uint64_t tsc_hz) {
    BANYAN_ASSERT(tsc_hz != 0);
    TscScale scale;
    uint64_t ticks = tsc_hz;
    uint64_t ns = kNsPerSecond;
    while (ticks <= ns) {
        ticks <<= 1;
        ++scale.shift;
    }
    while (ticks > ns * 2) {
        ns <<= 1;
        --scale.shift;
    }
    scale.mul = static_cast<uint32_t>((static_cast<__uint128_t>(ns) << 32) / ticks);
    return scale;
}

// The record says how time follows from the TSC since the machine was made, the same for all vCPUs
// however often and whenever it is written; a pair of clock readings taken here would differ
// between them.
void update_kvm_clock(Cpu& cpu) {
    constexpr uint64_t kEnabled = 1;
    if ((cpu.msr.kvm_system_time & kEnabled) == 0) return;
    const Gpa gpa{cpu.msr.kvm_system_time & ~kEnabled};
    const TscScale scale = tsc_to_ns_scale(cpu.clock.tsc_hz());
    TimeRecord record{};
    if (!cpu.memory.read_object(gpa, record.version)) return;
    // Odd while it is being written: the guest, on this very vCPU, never sees that, but another one
    // might look.
    record.version = (record.version | 1U) + 2;
    if (!cpu.memory.write_object(gpa, record.version)) return;
    record.tsc_timestamp = cpu.msr.tsc_offset;
    record.system_time = 0;
    record.tsc_to_system_mul = scale.mul;
    record.tsc_shift = scale.shift;
    record.flags = kTscStable;
    if (!cpu.memory.write_object(gpa, record)) return;
    ++record.version;
    if (!cpu.memory.write_object(gpa, record.version)) return;
}

void write_kvm_wall_clock(Cpu& cpu, uint64_t gpa) {
    WallClock record{};
    if (!cpu.memory.read_object(Gpa{gpa}, record.version)) return;
    const uint64_t start = cpu.clock.wall_ns() - cpu.clock.now_ns();
    record.version = (record.version | 1U) + 1;
    record.seconds = static_cast<uint32_t>(start / kNsPerSecond);
    record.nanoseconds = static_cast<uint32_t>(start % kNsPerSecond);
    if (!cpu.memory.write_object(Gpa{gpa}, record)) return;
}

}  // namespace banyan::interp
