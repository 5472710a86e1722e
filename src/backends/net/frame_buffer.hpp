// FrameBuffer: copies of frames, one after the other, as many as fit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "vm/network.hpp"

namespace banyan {

class FrameBuffer {
public:
    // The memory is the host's only when it is written.
    explicit FrameBuffer(size_t capacity)
        : capacity_(capacity), bytes_(std::make_unique_for_overwrite<std::byte[]>(capacity)) {}

    struct Frame {
        std::span<std::byte> bytes;
        NetFrameInfo info;
    };

    // False, and nothing added: it is full.
    bool add(const NetFrame& frame) {
        if (!has_room(frame.size)) return false;
        std::byte* to = bytes_.get() + used_;
        size_t left = frame.size;
        for (const auto& part : frame.parts) {
            const size_t count = std::min(left, part.size());
            std::memcpy(to, part.data(), count);
            to += count;
            left -= count;
        }
        frames_.push_back({std::span(bytes_.get() + used_, frame.size - left), frame.info});
        used_ += frame.size - left;
        return true;
    }
    bool add(std::span<const std::byte> bytes, const NetFrameInfo& info) {
        return add({std::span(&bytes, 1), bytes.size(), info});
    }

    bool empty() const { return frames_.empty(); }
    std::span<const Frame> frames() const { return frames_; }
    void clear() {
        frames_.clear();
        used_ = 0;
    }

private:
    static constexpr size_t kMostFrames = 4096;

    bool has_room(size_t size) const {
        return size <= capacity_ - used_ && frames_.size() < kMostFrames;
    }

    size_t capacity_;
    std::unique_ptr<std::byte[]> bytes_;
    size_t used_ = 0;
    std::vector<Frame> frames_;
};

}  // namespace banyan
