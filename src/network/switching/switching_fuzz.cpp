// Ports of all kinds, and whatever frames come to them: nothing crosses where it may not, and
// counters add up.
#include <cstdlib>

#include "network/switching/learning_switch.hpp"

namespace banyan {
namespace {

class CheckingSink final : public SwitchSink {
public:
    bool deliver(const NetFrame& frame) override {
        size_t sum = 0;
        for (const auto part : frame.parts)
            sum += part.size();
        if (sum != frame.size || sum < kEthernetHeaderSize || sum > kLargestNetFrame) std::abort();
        ++frames;
        return frames % 7 != 0;
    }
    SinkRoom room() const override { return static_cast<SinkRoom>(frames % 3); }

    uint64_t frames = 0;
};

void fuzz_switch(const uint8_t* data, size_t size) {
    LearningSwitch tested(true);
    std::array<CheckingSink, 4> sinks;
    const MacAddress own{{2, 0, 0, 0, 0, 1}};
    (void)tested.add_port({.mac = own, .ipv4 = Ipv4Address{0x0A000001}}, sinks[0]);
    (void)tested.add_port({.vlan = 2, .tagged_vlans = {1, 3}, .bytes_per_second = 5000}, sinks[1]);
    (void)tested.add_port({.isolated = true, .flooded_per_second = 10}, sinks[2]);
    (void)tested.add_port({.isolated = true}, sinks[3]);
    const auto bytes = std::as_bytes(std::span(data, size));
    uint64_t now = 0;
    for (size_t at = 0; at + 8 <= size;) {
        const auto from = static_cast<SwitchPortId>(data[at] & 3);
        const size_t length = std::min<size_t>(data[at + 1], size - at - 8);
        const NetFrameInfo info{.needs_checksum = (data[at] & 4) != 0,
                                .checksum_start = data[at + 2],
                                .checksum_offset = data[at + 3]};
        now += uint64_t{data[at + 4]} << 20;
        const auto frame = bytes.subspan(at + 8, length);
        const size_t cut = std::min<size_t>(data[at + 5], length);
        const std::array<std::span<const std::byte>, 2> parts{frame.first(cut), frame.subspan(cut)};
        tested.forward(from, {parts, length, info}, now);
        at += 8 + length;
    }
    if (tested.addresses().size() > 4 * MacTable::kMostOfPort) std::abort();
    for (SwitchPortId port = 0; port < 4; ++port) {
        const SwitchPortCounters& counters = tested.counters(port);
        if (counters.sent_frames + counters.dropped(SwitchDrop::no_room) != sinks[port].frames)
            std::abort();
    }
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    banyan::fuzz_switch(data, size);
    return 0;
}
