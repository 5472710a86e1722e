// IdMap: which users of the host a guest sees, and makes files as.
//
// Banyan as root: numbers are the same in the guest and on the host. As any other user: that user
// is the guest's root, and all others are nobody, as in a user namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <sys/types.h>
#include <unistd.h>

namespace banyan {

class IdMap {
public:
    static constexpr uint32_t kNobody = 65534;

    static IdMap for_process() { return {::geteuid(), ::getegid()}; }
    IdMap(uid_t user, gid_t group) : user_(user), group_(group) {}

    bool same() const { return user_ == 0; }
    uint32_t guest_user(uid_t host) const { return to_guest(host, user_); }
    uint32_t guest_group(gid_t host) const { return to_guest(host, group_); }
    // None for an owner that this process cannot give a file to.
    std::optional<uid_t> host_user(uint32_t guest) const { return to_host(guest, user_); }
    std::optional<gid_t> host_group(uint32_t guest) const { return to_host(guest, group_); }

private:
    uint32_t to_guest(uint32_t host, uint32_t own) const {
        if (same()) return host;
        return host == own ? 0 : kNobody;
    }
    std::optional<uint32_t> to_host(uint32_t guest, uint32_t own) const {
        if (same()) return guest;
        return guest == 0 ? std::optional(own) : std::nullopt;
    }

    uid_t user_;
    gid_t group_;
};

}  // namespace banyan
