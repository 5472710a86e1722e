// Who is entitled to how much of a resource, by the tree of pools: waterfilling.
//
// Siblings divide what their pool has. Each gets at least its reservation and at most its limit,
// neither more than it demands; what lies between is in proportion to their shares: those whose
// bounds do not bind have the same amount a share. Nothing is withheld while somebody wants more.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "resources/terms.hpp"

namespace banyan {

struct ResourceNode {
    size_t parent = 0;  // stands before its children; the root is node 0, and its own parent
    ResourceTerms terms;
    uint64_t demand = 0;  // of a VM; pools demand what their members do
};

// A sum that stays at the largest number.
uint64_t saturating_sum(uint64_t a, uint64_t b);

// Of each node. The sum over the VMs is what they demand within limits, or `capacity` if that is
// less. Where reservations exceed the capacity, they are reduced in proportion.
std::vector<uint64_t> entitlements(uint64_t capacity, std::span<const ResourceNode> tree);

// The same, and what nobody demands is given, too, within limits and up to `most` of each VM: so
// that one that wakes up finds room. `most` of pools is not looked at.
std::vector<uint64_t> generous_entitlements(uint64_t capacity, std::span<const ResourceNode> tree,
                                            std::span<const uint64_t> most);

// What of each node's is reserved: its own reservation, or its members' if they have more. A pool
// takes what they have more from its parent.
std::vector<uint64_t> reserved(std::span<const ResourceNode> tree);

// The node, if any, whose members reserve more than it can have: its limit or, of the root, the
// capacity, too.
struct Overcommitment {
    size_t node = 0;
    uint64_t reserved = 0;
    uint64_t available = 0;
};
std::optional<Overcommitment> find_overcommitment(uint64_t capacity,
                                                  std::span<const ResourceNode> tree);

}  // namespace banyan
