// What a guest shows on its screen, for whoever looks: a picture for a file, a remote viewer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace banyan {

// A picture: lines from the top, each of `width` pixels from the left, a pixel 0x00RRGGBB.
struct DisplayFrame {
    uint32_t width = 0;
    uint32_t height = 0;
    std::vector<uint32_t> pixels;
};

// Lines first..end-1 of a frame; empty when they are equal.
struct DisplayChange {
    bool resized = false;
    uint32_t first = 0;
    uint32_t end = 0;
};

// The screen of a guest. A viewer keeps a frame of its own and asks for it to be brought up to
// date as often as it likes: nobody pays for a screen that nobody looks at.
class DisplaySource {
public:
    // Brings `frame`, as an earlier call left it or empty, up to date, and says what changed.
    virtual DisplayChange update(DisplayFrame& frame) = 0;
    // The characters on the screen in UTF-8, a line each without the blanks at its end; false when
    // it shows graphics.
    virtual bool text(std::string& to) = 0;

protected:
    ~DisplaySource() = default;
};

}  // namespace banyan
