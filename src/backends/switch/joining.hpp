// How a member comes to its port: it says what it is, and gets a channel or a refusal.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "host/posix/unique_fd.hpp"
#include "network/port/port_channel.hpp"
#include "network/port/port_handshake.hpp"

namespace banyan {

// A socket to the switch, which has got the hello; does not wait. Fails with
// ErrorCode::not_found where no switch runs.
Result<UniqueFd> ask_switch(const std::string& path, const PortHello& hello);

// What the switch answered to a member. nullptr: nothing yet. ErrorCode::busy: it refuses;
// ErrorCode::io: it is gone.
Result<std::unique_ptr<PortChannel>> take_welcome(int socket);

}  // namespace banyan
