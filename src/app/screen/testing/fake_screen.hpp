// A screen and a keyboard of a guest that is not there.
#pragma once

#include <string>
#include <vector>

#include "vm/display.hpp"
#include "vm/input.hpp"

namespace banyan {

class FakeScreen final : public DisplaySource {
public:
    DisplayChange update(DisplayFrame& to) override {
        const bool resized = to.pixels.size() != frame.pixels.size();
        to = frame;
        return resized ? DisplayChange{true, 0, frame.height} : change;
    }
    bool text(std::string& to) override {
        to = characters;
        return !characters.empty();
    }

    DisplayFrame frame{2, 3, {1, 2, 3, 4, 5, 6}};
    DisplayChange change;
    std::string characters;
};

class RecordingInput final : public InputSink {
public:
    void key(KeyCode key, bool pressed) override {
        keys += std::to_string(key.value) + (pressed ? "+" : "-");
    }
    void pointer(const PointerEvent& event) override { pointers.push_back(event); }
    bool ready_for_key() const override { return ready; }

    std::string keys;
    std::vector<PointerEvent> pointers;
    bool ready = true;
};

}  // namespace banyan
