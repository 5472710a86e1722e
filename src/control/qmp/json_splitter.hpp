// JsonSplitter: finds the JSON values in a stream. Clients end them with a line feed, or not at
// all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace banyan::qmp {

// What it gives out is one value if it is JSON at all: whether it is, the parser says. A value that
// is longer or nested deeper than the limits is dropped up to the end of its line.
class JsonSplitter {
public:
    static constexpr size_t kMostBytes = 256 << 10;
    static constexpr size_t kMostNested = 64;

    struct Events {
        std::function<void(std::string_view text)> value;
        std::function<void(std::string_view why)> error;
    };
    explicit JsonSplitter(Events events) : events_(std::move(events)) {}

    void feed(std::string_view bytes);

private:
    enum class State : uint8_t {
        between,  // values
        word,     // neither an object nor an array: up to the end of the line
        nested,
        string,    // within nested
        escape,    // within string
        dropping,  // up to the end of the line
    };

    void take(char c);
    void take_between(char c);
    void take_nested(char c);
    void take_string(char c);
    void give();
    void drop(std::string_view why);

    const Events events_;
    State state_ = State::between;
    size_t depth_ = 0;
    std::string text_;
};

}  // namespace banyan::qmp
