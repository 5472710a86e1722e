// FairShare: who of many senders has sent a receiver more than the average lately.
#pragma once

#include <cstdint>
#include <vector>

#include "network/switching/mac_table.hpp"

namespace banyan {

// How much is left of a receiver's room. When it is crowded, those who send more than the average
// get nothing; when it is scarce, only those who send less do: even one who was alone leaves room
// for the next.
enum class SinkRoom : uint8_t { plenty, crowded, scarce };

class FairShare {
public:
    explicit FairShare(size_t senders) : recent_(senders) {}

    void add(SwitchPortId sender, size_t bytes, uint64_t now_ns) {
        fade(now_ns);
        if (recent_[sender] == 0) ++active_;
        recent_[sender] += bytes;
        total_ += bytes;
    }

    bool is_refused(SwitchPortId sender, SinkRoom room, uint64_t now_ns) {
        if (room == SinkRoom::plenty) return false;
        fade(now_ns);
        const uint64_t scaled = recent_[sender] * active_;
        return room == SinkRoom::scarce ? scaled != 0 && scaled >= total_ : scaled > total_;
    }

private:
    static constexpr uint64_t kFadeNs = 10'000'000;

    // What was sent counts half as much with each period.
    void fade(uint64_t now_ns) {
        if (now_ns - faded_ns_ < kFadeNs) return;
        faded_ns_ = now_ns;
        total_ = active_ = 0;
        for (uint64_t& bytes : recent_) {
            bytes /= 2;
            total_ += bytes;
            active_ += bytes != 0 ? 1 : 0;
        }
    }

    std::vector<uint64_t> recent_;
    uint64_t total_ = 0;
    uint64_t active_ = 0;
    uint64_t faded_ns_ = 0;
};

}  // namespace banyan
