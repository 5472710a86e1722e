#include "control/qmp/json_splitter.hpp"

namespace banyan::qmp {

namespace {

bool opens(char c) {
    return c == '{' || c == '[';
}

bool closes(char c) {
    return c == '}' || c == ']';
}

}  // namespace

void JsonSplitter::feed(std::string_view bytes) {
    for (const char c : bytes) {
        take(c);
        if (text_.size() > kMostBytes) drop("JSON token size limit exceeded");
    }
}

void JsonSplitter::take(char c) {
    switch (state_) {
        case State::between: take_between(c); break;
        case State::word: c == '\n' ? give() : text_.push_back(c); break;
        case State::nested: take_nested(c); break;
        case State::string: take_string(c); break;
        case State::escape:
            text_.push_back(c);
            state_ = State::string;
            break;
        case State::dropping:
            if (c == '\n') state_ = State::between;
            break;
    }
}

void JsonSplitter::take_between(char c) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') return;
    state_ = State::word;
    if (opens(c)) {
        state_ = State::nested;
        depth_ = 1;
    }
    text_.push_back(c);
}

void JsonSplitter::take_nested(char c) {
    text_.push_back(c);
    if (c == '"') state_ = State::string;
    if (opens(c) && ++depth_ > kMostNested) drop("JSON nesting depth limit exceeded");
    if (closes(c) && --depth_ == 0) give();
}

// No string goes over the end of a line (RFC 8259, section 7): what follows is a new value.
void JsonSplitter::take_string(char c) {
    text_.push_back(c);
    if (c == '"') state_ = State::nested;
    if (c == '\\') state_ = State::escape;
    if (c == '\n') give();
}

void JsonSplitter::give() {
    const std::string text = std::move(text_);
    text_.clear();
    state_ = State::between;
    events_.value(text);
}

void JsonSplitter::drop(std::string_view why) {
    text_.clear();
    state_ = State::dropping;
    events_.error(why);
}

}  // namespace banyan::qmp
