// ScreenSession: answers what one client asks of a VM's screen and keyboard.
//
// A request is a line of words. Each is answered, in order, by a line that begins with "ok" or
// "error", and bytes where they are said to follow:
//
//     frame                     ok WIDTH HEIGHT FIRST END: a picture is taken; lines FIRST..END-1
//                               differ from the last one of this client
//     lines FIRST COUNT         ok SIZE, then SIZE bytes: of the picture taken, four a pixel:
//                               blue, green, red, 0
//     text                      ok SIZE, then SIZE bytes: the characters of a text mode, UTF-8
//     key CODE PRESSED          ok: PRESSED is 1 or 0, CODE a KeyCode
//     pointer DX DY WHEEL BUTTONS   ok: see PointerEvent
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/screen/key_feeder.hpp"
#include "vm/display.hpp"
#include "vm/input.hpp"

namespace banyan {

class ScreenSession {
public:
    static constexpr size_t kLongestRequest = 128;
    static constexpr size_t kMostBytes = 512 << 10;  // of one answer

    struct Wiring {
        DisplaySource* display = nullptr;  // null: there is no screen
        InputSink* input = nullptr;        // null: no mouse
        KeyFeeder* keys = nullptr;         // null: no keyboard
        std::function<void(std::string_view)> send;
    };
    explicit ScreenSession(Wiring wiring) : wiring_(std::move(wiring)) {}

    void received(std::string_view bytes);
    // The client has gone; the next one starts afresh.
    void reset();

private:
    using Words = std::vector<std::string_view>;
    void request(std::string_view line);
    void take_frame();
    void give_lines(const Words& words);
    void give_text();
    void press_key(const Words& words);
    void move_pointer(const Words& words);
    void ok(std::string_view rest = {});
    void error(std::string_view why);

    Wiring wiring_;
    std::string line_;
    bool too_long_ = false;
    DisplayFrame frame_;
};

}  // namespace banyan
