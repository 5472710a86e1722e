// FrameRecordReader: takes apart what a FrameStream writes, in whatever pieces it comes.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "backends/net/frame_record.hpp"
#include "vm/network.hpp"

namespace banyan {

class FrameRecordReader {
public:
    // Calls take(header, frame) for each record that is whole. False: that is no such stream, and
    // nothing more can be read from it.
    template <class Take>
    bool feed(std::span<const std::byte> bytes, Take take) {
        pending_.insert(pending_.end(), bytes.begin(), bytes.end());
        std::span<const std::byte> rest = pending_;
        while (rest.size() >= sizeof(FrameRecordHeader)) {
            FrameRecordHeader header;
            std::memcpy(&header, rest.data(), sizeof(header));
            if (header.size > kLargestNetFrame || header.nanoseconds >= kNanoseconds) return false;
            if (rest.size() < sizeof(header) + header.size) break;
            take(header, rest.subspan(sizeof(header), header.size));
            rest = rest.subspan(sizeof(header) + header.size);
        }
        pending_.erase(pending_.begin(), pending_.end() - static_cast<std::ptrdiff_t>(rest.size()));
        return true;
    }

private:
    static constexpr uint32_t kNanoseconds = 1'000'000'000;

    std::vector<std::byte> pending_;  // less than a record
};

}  // namespace banyan
