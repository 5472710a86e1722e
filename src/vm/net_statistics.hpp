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

// Calls visit(name, value) for each.
template <class Visit>
void for_each_counter(const NetStatistics& s, Visit visit) {
    visit("received frames", s.received_frames);
    visit("received bytes", s.received_bytes);
    visit("received for others", s.received_for_others);
    visit("received too large", s.received_too_large);
    visit("received unusable", s.received_unusable);
    visit("received while down", s.received_while_down);
    visit("sent frames", s.sent_frames);
    visit("sent bytes", s.sent_bytes);
    visit("sent malformed", s.sent_malformed);
}

}  // namespace banyan
