#include "devices/storage/floppy_drive.hpp"

#include <algorithm>
#include <array>

#include "support/assert.hpp"

namespace banyan {

namespace {

// Data sheet, table 2-6 "Data rates": 1.2M and 1.44M disks have 500 kbit/s, 2.88M 1000, the older
// ones 250. Drives: 1 is 360K, 2 1.2M, 4 1.44M, 5 2.88M. 1680K and 1720K are the formats of
// distribution disks.
constexpr std::array<FloppyGeometry, 10> kFormats{{
    {.cylinders = 40, .heads = 1, .sectors = 8, .rate = 2, .type = 1},   // 160K
    {.cylinders = 40, .heads = 1, .sectors = 9, .rate = 2, .type = 1},   // 180K
    {.cylinders = 40, .heads = 2, .sectors = 8, .rate = 2, .type = 1},   // 320K
    {.cylinders = 40, .heads = 2, .sectors = 9, .rate = 2, .type = 1},   // 360K
    {.cylinders = 80, .heads = 2, .sectors = 9, .rate = 2, .type = 4},   // 720K
    {.cylinders = 80, .heads = 2, .sectors = 15, .rate = 0, .type = 2},  // 1.2M
    {.cylinders = 80, .heads = 2, .sectors = 18, .rate = 0, .type = 4},  // 1.44M
    {.cylinders = 80, .heads = 2, .sectors = 21, .rate = 0, .type = 4},  // 1680K
    {.cylinders = 82, .heads = 2, .sectors = 21, .rate = 0, .type = 4},  // 1720K
    {.cylinders = 80, .heads = 2, .sectors = 36, .rate = 3, .type = 5},  // 2.88M
}};

constexpr uint64_t bytes_of(const FloppyGeometry& format) {
    return uint64_t{format.cylinders} * format.heads * format.sectors * FloppyDrive::kSector;
}

}  // namespace

std::optional<FloppyGeometry> FloppyGeometry::of_size(uint64_t bytes) {
    const auto found = std::find_if(kFormats.begin(), kFormats.end(),
                                    [&](const auto& format) { return bytes_of(format) == bytes; });
    return found == kFormats.end() ? std::nullopt : std::optional(*found);
}

void FloppyDrive::insert(BlockBackend& disk) {
    const auto format = FloppyGeometry::of_size(disk.size_bytes());
    BANYAN_ASSERT(format.has_value());
    disk_ = &disk;
    geometry_ = *format;
    state_.changed = true;
}

bool FloppyDrive::set_state(const State& state) {
    if (state.cylinder > geometry_.cylinders + kSpareCylinders) return false;
    state_ = state;
    return true;
}

void FloppyDrive::seek(unsigned cylinder) {
    if (!present()) return;
    const auto furthest = static_cast<unsigned>(geometry_.cylinders + kSpareCylinders);
    const auto wanted = static_cast<uint8_t>(std::min(cylinder, furthest));
    if (wanted == state_.cylinder) return;
    state_.cylinder = wanted;
    state_.changed = false;
}

std::optional<uint64_t> FloppyDrive::offset_of(unsigned head, unsigned sector) const {
    if (!present() || state_.cylinder >= geometry_.cylinders || head >= geometry_.heads ||
        sector < 1 || sector > geometry_.sectors) {
        return std::nullopt;
    }
    const unsigned track = state_.cylinder * unsigned{geometry_.heads} + head;
    return (uint64_t{track} * geometry_.sectors + sector - 1) * kSector;
}

}  // namespace banyan
