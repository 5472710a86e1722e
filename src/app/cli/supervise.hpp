// `banyan supervise`: starts stored VMs by themselves, and again when they end, as each one's
// policy says.
#pragma once

#include <string>

namespace banyan {

// Until SIGTERM or SIGINT; VMs go on then. Returns the exit status.
int supervise();
// For systemd: this program as a service of the user's.
std::string supervise_unit();

}  // namespace banyan
