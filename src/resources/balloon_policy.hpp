// What a guest is asked to get along with, on the way to its entitlement.
#pragma once

#include <cstdint>
#include <optional>

namespace banyan {

// Bytes.
struct GuestMemorySituation {
    uint64_t size = 0;         // of its memory
    uint64_t entitlement = 0;  // by the plan
    uint64_t limit = 0;        // of the VM's own
    uint64_t target = 0;       // what it is asked to get along with now
    uint64_t actual = 0;       // what it has
    // As its balloon's driver told; nothing: it has not yet.
    std::optional<uint64_t> total;
    std::optional<uint64_t> available;
};

// What the guest needs so that it does not begin to swap, with some room; all it has when it does
// not tell.
uint64_t memory_demand_of(const GuestMemorySituation& guest);

// The target for the next second. Memory that is granted is granted at once. What is taken is taken
// in steps, each when the guest has followed the last, not below what it uses, and not for trifles.
// Below its limit it is asked to go whatever it uses.
uint64_t next_balloon_target(const GuestMemorySituation& guest);

}  // namespace banyan
