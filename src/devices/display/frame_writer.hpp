// FrameWriter: brings a viewer's frame up to date line by line, and notes which lines changed.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "vm/display.hpp"

namespace banyan {

class FrameWriter {
public:
    explicit FrameWriter(DisplayFrame& frame) : frame_(frame) {}

    // Before the first line.
    void begin(uint32_t width, uint32_t height) {
        if (frame_.width != width || frame_.height != height ||
            frame_.pixels.size() != size_t{width} * height) {
            frame_.width = width;
            frame_.height = height;
            frame_.pixels.assign(size_t{width} * height, 0);
            change_ = {true, 0, height};
        }
    }
    // `pixels` has the frame's width, `y` is below its height.
    void put(uint32_t y, std::span<const uint32_t> pixels) {
        uint32_t* line = frame_.pixels.data() + size_t{y} * frame_.width;
        if (std::memcmp(line, pixels.data(), pixels.size_bytes()) == 0) return;
        std::memcpy(line, pixels.data(), pixels.size_bytes());
        change_.first = change_.first == change_.end ? y : std::min(change_.first, y);
        change_.end = std::max(change_.end, y + 1);
    }
    const DisplayChange& change() const { return change_; }

private:
    DisplayFrame& frame_;
    DisplayChange change_;
};

}  // namespace banyan
