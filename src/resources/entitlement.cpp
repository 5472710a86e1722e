#include "resources/entitlement.hpp"

#include <algorithm>

namespace banyan {

namespace {

__extension__ using Wide = unsigned __int128;

// One of several that divide an amount. floor <= cap.
struct Claim {
    uint64_t shares = 1;
    uint64_t floor = 0;
    uint64_t cap = 0;
    uint64_t given = 0;
    bool settled = false;
};

uint64_t part_of(uint64_t amount, uint64_t shares, uint64_t all_shares) {
    return static_cast<uint64_t>(static_cast<Wide>(amount) * shares / all_shares);
}

uint64_t shares_of_unsettled(const std::vector<Claim>& claims) {
    uint64_t shares = 0;
    for (const Claim& claim : claims)
        shares += claim.settled ? 0 : claim.shares;
    return shares;
}

// Reservations that the host cannot keep.
void reduce_floors(uint64_t amount, Wide floors, std::vector<Claim>& claims) {
    for (Claim& claim : claims) {
        claim.given = static_cast<uint64_t>(static_cast<Wide>(amount) * claim.floor / floors);
    }
}

// One round: gives everybody their part of `left`, and settles those who are bound by a floor, or
// those who are bound by a cap, whichever distorts more: the others of this round may find that
// they are not bound after all. True when somebody was bound.
bool settle_some(uint64_t left, std::vector<Claim>& claims) {
    const uint64_t shares = shares_of_unsettled(claims);
    Wide below_floors = 0;
    Wide above_caps = 0;
    for (Claim& claim : claims) {
        if (claim.settled) continue;
        const uint64_t part = part_of(left, claim.shares, shares);
        claim.given = std::clamp(part, claim.floor, claim.cap);
        if (claim.given > part) below_floors += claim.given - part;
        if (claim.given < part) above_caps += part - claim.given;
    }
    const bool floors = below_floors >= above_caps;
    bool some = false;
    for (Claim& claim : claims) {
        if (claim.settled) continue;
        const uint64_t part = part_of(left, claim.shares, shares);
        claim.settled =
            (floors && claim.given > part) || (below_floors <= above_caps && claim.given < part);
        some |= claim.settled;
    }
    return some;
}

uint64_t given_to(const std::vector<Claim>& claims, bool settled_only) {
    uint64_t given = 0;
    for (const Claim& claim : claims)
        given += claim.settled || !settled_only ? claim.given : 0;
    return given;
}

// What rounding has left, less than a unit each.
void give_rest(uint64_t amount, std::vector<Claim>& claims) {
    uint64_t given = given_to(claims, false);
    for (Claim& claim : claims) {
        if (given >= amount) return;
        const uint64_t more = std::min(amount - given, claim.cap - claim.given);
        claim.given += more;
        given += more;
    }
}

void divide(uint64_t amount, std::vector<Claim>& claims) {
    Wide floors = 0;
    Wide caps = 0;
    for (const Claim& claim : claims) {
        floors += claim.floor;
        caps += claim.cap;
    }
    if (caps <= amount) {
        for (Claim& claim : claims)
            claim.given = claim.cap;
        return;
    }
    if (floors >= amount) {
        reduce_floors(amount, std::max<Wide>(floors, 1), claims);
    } else {
        while (settle_some(amount - given_to(claims, true), claims)) {
        }
    }
    give_rest(amount, claims);
}

// Of a node: what its members want at least and at most of its pool.
struct Bounds {
    uint64_t floor = 0;
    uint64_t cap = 0;
};

std::vector<Bounds> bounds_of(std::span<const ResourceNode> tree) {
    std::vector<Bounds> bounds(tree.size());
    for (size_t i = tree.size(); i-- > 0;) {
        const ResourceTerms& terms = tree[i].terms;
        Bounds& own = bounds[i];
        own.cap = std::min(saturating_sum(own.cap, tree[i].demand), terms.limit);
        own.floor = std::min(std::max(own.floor, terms.reservation), own.cap);
        if (i == 0) break;
        Bounds& pool = bounds[tree[i].parent];
        pool.floor = saturating_sum(pool.floor, own.floor);
        pool.cap = saturating_sum(pool.cap, own.cap);
    }
    return bounds;
}

}  // namespace

uint64_t saturating_sum(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

std::vector<uint64_t> entitlements(uint64_t capacity, std::span<const ResourceNode> tree) {
    std::vector<uint64_t> result(tree.size());
    if (tree.empty()) return result;
    const std::vector<Bounds> bounds = bounds_of(tree);
    std::vector<std::vector<size_t>> members(tree.size());
    for (size_t i = 1; i < tree.size(); ++i)
        members[tree[i].parent].push_back(i);
    result[0] = std::min(capacity, bounds[0].cap);
    for (size_t pool = 0; pool < tree.size(); ++pool) {
        std::vector<Claim> claims;
        for (const size_t member : members[pool])
            claims.push_back({tree[member].terms.shares, bounds[member].floor, bounds[member].cap});
        divide(result[pool], claims);
        for (size_t i = 0; i < claims.size(); ++i)
            result[members[pool][i]] = claims[i].given;
    }
    return result;
}

std::vector<uint64_t> generous_entitlements(uint64_t capacity, std::span<const ResourceNode> tree,
                                            std::span<const uint64_t> most) {
    const std::vector<uint64_t> demanded = entitlements(capacity, tree);
    std::vector<ResourceNode> wide(tree.begin(), tree.end());
    std::vector<bool> is_pool(tree.size(), false);
    for (size_t i = 1; i < tree.size(); ++i)
        is_pool[tree[i].parent] = true;
    for (size_t i = 0; i < wide.size(); ++i) {
        if (is_pool[i]) {
            wide[i].terms.reservation = 0;
            continue;
        }
        wide[i].terms.reservation = demanded[i];
        wide[i].demand = std::max(most[i], demanded[i]);
    }
    return entitlements(capacity, wide);
}

std::vector<uint64_t> reserved(std::span<const ResourceNode> tree) {
    std::vector<uint64_t> result(tree.size());
    for (size_t i = tree.size(); i-- > 0;) {
        result[i] = std::max(result[i], tree[i].terms.reservation);
        if (i == 0) break;
        uint64_t& pool = result[tree[i].parent];
        pool = saturating_sum(pool, result[i]);
    }
    return result;
}

std::optional<Overcommitment> find_overcommitment(uint64_t capacity,
                                                  std::span<const ResourceNode> tree) {
    const std::vector<uint64_t> all = reserved(tree);
    for (size_t i = tree.size(); i-- > 0;) {
        const uint64_t available =
            i == 0 ? std::min(capacity, tree[i].terms.limit) : tree[i].terms.limit;
        if (all[i] > available) return Overcommitment{i, all[i], available};
    }
    return std::nullopt;
}

}  // namespace banyan
