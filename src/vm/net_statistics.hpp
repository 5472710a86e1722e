// NetStatistics: what a network card has moved and what it has dropped, and why. Counted with the
// device's lock held, read from any thread.
#pragma once

#include <string_view>

#include "support/counter.hpp"

namespace banyan {

struct NetStatistics {
    // From the network to the guest.
    Counter received_frames;
    Counter received_bytes;
    Counter received_for_others;  // filtered by address or VLAN, as the driver asked
    Counter received_too_large;   // for the buffers that the driver gives
    Counter received_unusable;    // no frame, or of a kind that the driver does not take
    Counter received_while_down;  // the driver was not ready
    // From the guest to the network.
    Counter sent_frames;
    Counter sent_bytes;
    Counter sent_malformed;  // no frame, or with a header that makes no sense
};

// Calls visit(name, value) for each, with names as in statistics.hpp.
template <class Visit>
void for_each_counter(const NetStatistics& s, Visit visit) {
    visit("net_received_frames", s.received_frames);
    visit("net_received_bytes", s.received_bytes);
    visit("net_received_for_others", s.received_for_others);
    visit("net_received_too_large", s.received_too_large);
    visit("net_received_unusable", s.received_unusable);
    visit("net_received_while_down", s.received_while_down);
    visit("net_sent_frames", s.sent_frames);
    visit("net_sent_bytes", s.sent_bytes);
    visit("net_sent_malformed", s.sent_malformed);
}

}  // namespace banyan
