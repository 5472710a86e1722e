#include "resources/balloon_policy.hpp"

#include <algorithm>

namespace banyan {

namespace {

constexpr uint64_t kMegabyte = uint64_t{1} << 20;

uint64_t trifle_of(const GuestMemorySituation& guest) {
    return std::max(guest.size / 64, 4 * kMegabyte);
}

// Nothing: its driver has not told.
// Linux counts what is in the balloon among its total when the balloon may deflate on its own
// (drivers/virtio/virtio_balloon.c), other drivers do not: it has no more than `actual` either way.
std::optional<uint64_t> used_by(const GuestMemorySituation& guest) {
    if (!guest.total || !guest.available) return std::nullopt;
    const uint64_t total = std::min(*guest.total, guest.actual);
    return total - std::min(*guest.available, total);
}

// What it has without anything to spare.
uint64_t least_of(const GuestMemorySituation& guest) {
    constexpr uint64_t kSpare = 16 * kMegabyte;
    const auto used = used_by(guest);
    return used ? std::min(*used + kSpare, guest.size) : guest.size;
}

}  // namespace

uint64_t memory_demand_of(const GuestMemorySituation& guest) {
    constexpr uint64_t kRoom = 32 * kMegabyte;
    const auto used = used_by(guest);
    return used ? std::min(*used + *used / 8 + kRoom, guest.size) : guest.size;
}

uint64_t next_balloon_target(const GuestMemorySituation& guest) {
    const uint64_t most = std::min(guest.limit, guest.size);
    const uint64_t needed = std::max(guest.entitlement, least_of(guest));
    const uint64_t wanted = std::min(needed, most) / kMegabyte * kMegabyte;
    if (wanted >= guest.target) {
        const bool whole = wanted / kMegabyte == guest.size / kMegabyte;
        return whole ? guest.size : wanted;
    }
    const uint64_t trifle = trifle_of(guest);
    if (guest.target - wanted < trifle && guest.target <= most) return guest.target;
    const bool follows = guest.actual <= guest.target + trifle;
    if (!follows) return guest.target;
    const uint64_t step = std::max(guest.size / 8, 16 * kMegabyte);
    return std::max(wanted, guest.target - std::min(step, guest.target));
}

}  // namespace banyan
