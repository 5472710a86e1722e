#include "app/screen/screen_session.hpp"

#include <charconv>
#include <fmt/format.h>
#include <optional>

namespace banyan {

namespace {

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const size_t end = std::min(line.find(' '), line.size());
        if (end != 0) words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

std::optional<int32_t> number(std::string_view word) {
    int32_t value = 0;
    const auto [end, wrong] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (wrong != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    return value;
}

// The numbers after the first word; nothing unless all are, and `count` of them.
std::optional<std::vector<int32_t>> numbers(const std::vector<std::string_view>& words,
                                            size_t count) {
    if (words.size() != count + 1) return std::nullopt;
    std::vector<int32_t> values;
    for (size_t i = 1; i < words.size(); ++i) {
        const auto value = number(words[i]);
        if (!value) return std::nullopt;
        values.push_back(*value);
    }
    return values;
}

}  // namespace

void ScreenSession::reset() {
    line_.clear();
    too_long_ = false;
    frame_ = {};
}

void ScreenSession::received(std::string_view bytes) {
    for (const char byte : bytes) {
        if (byte != '\n') {
            too_long_ |= line_.size() == kLongestRequest;
            if (!too_long_) line_ += byte;
            continue;
        }
        if (too_long_) {
            error("the request is too long");
        } else {
            request(line_);
        }
        line_.clear();
        too_long_ = false;
    }
}

void ScreenSession::request(std::string_view line) {
    const Words words = words_of(line);
    const std::string_view verb = words.empty() ? std::string_view() : words.front();
    if (verb == "frame") return take_frame();
    if (verb == "lines") return give_lines(words);
    if (verb == "text") return give_text();
    if (verb == "key") return press_key(words);
    if (verb == "pointer") return move_pointer(words);
    error("there is no such request");
}

void ScreenSession::ok(std::string_view rest) {
    wiring_.send(rest.empty() ? std::string("ok\n") : fmt::format("ok {}\n", rest));
}

void ScreenSession::error(std::string_view why) {
    wiring_.send(fmt::format("error {}\n", why));
}

void ScreenSession::take_frame() {
    if (wiring_.display == nullptr) return error("the VM has no screen");
    const DisplayChange change = wiring_.display->update(frame_);
    ok(fmt::format("{} {} {} {}", frame_.width, frame_.height, change.first, change.end));
}

void ScreenSession::give_lines(const Words& words) {
    const auto values = numbers(words, 2);
    if (!values) return error("lines takes a first line and a count");
    const int64_t first = (*values)[0];
    const int64_t count = (*values)[1];
    const size_t line = size_t{frame_.width} * sizeof(uint32_t);
    if (first < 0 || count < 1 || first + count > int64_t{frame_.height} ||
        static_cast<size_t>(count) * line > kMostBytes)
        return error("there are no such lines, or too many were asked for");
    const auto* start = reinterpret_cast<const char*>(frame_.pixels.data()) +
                        static_cast<size_t>(first) * line;  // SAFETY: as bytes; checked above
    const size_t size = static_cast<size_t>(count) * line;
    ok(fmt::format("{}", size));
    wiring_.send({start, size});
}

void ScreenSession::give_text() {
    if (wiring_.display == nullptr) return error("the VM has no screen");
    std::string text;
    if (!wiring_.display->text(text)) return error("the screen shows graphics, not text");
    ok(fmt::format("{}", text.size()));
    wiring_.send(text);
}

void ScreenSession::press_key(const Words& words) {
    const auto values = numbers(words, 2);
    if (!values || (*values)[0] < 1 || (*values)[0] > 0xFF)
        return error("key takes a code and 1 or 0");
    if (wiring_.keys == nullptr) return error("the VM has no keyboard; give it --machine pc");
    const KeyCode key{static_cast<uint8_t>((*values)[0])};
    if (!wiring_.keys->add({key, (*values)[1] != 0}))
        return error("too many keys wait; the guest does not take them");
    ok();
}

void ScreenSession::move_pointer(const Words& words) {
    const auto values = numbers(words, 4);
    if (!values) return error("pointer takes four numbers");
    if (wiring_.input == nullptr) return error("the VM has no mouse; give it --machine pc");
    wiring_.input->pointer({.dx = (*values)[0],
                            .dy = (*values)[1],
                            .wheel = (*values)[2],
                            .buttons = static_cast<uint8_t>((*values)[3] & 0x1F)});
    ok();
}

}  // namespace banyan
