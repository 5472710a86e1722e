// `banyan network capture`: frames of a network or of a VM's card, for tcpdump and Wireshark.
#pragma once

#include <string>

namespace banyan {

struct CaptureOptions {
    std::string target;  // a network, or a VM by its name or process number
    std::string output;  // a file, "-" for standard output; empty: TARGET.pcap
    std::string port;    // of a network: the member; empty: all
    std::string card;    // of a VM; empty: the first
};

// Until Ctrl-C, or until what is captured ends. Returns the exit status.
int capture_frames(const CaptureOptions& options);

}  // namespace banyan
