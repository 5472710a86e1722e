// Which frames of a guest name the host itself as their destination: the loopback addresses, and
// those that mean "this host". A NAT that passed them on would reach services that are for the
// host's own programs only.
#pragma once

#include <cstddef>
#include <span>

namespace banyan {

bool is_to_this_host(std::span<const std::byte> frame);

}  // namespace banyan
