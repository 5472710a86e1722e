#include "app/screen/key_names.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr uint8_t kE0 = KeyCode::kExtended;

struct KeyName {
    std::string_view name;
    uint8_t code;
    uint32_t symbol;  // 0: none, or it is a character
};

constexpr KeyName kKeys[] = {
    {"esc", 0x01, 0xFF1B},
    {"minus", 0x0C, 0},
    {"equal", 0x0D, 0},
    {"backspace", 0x0E, 0xFF08},
    {"tab", 0x0F, 0xFF09},
    {"bracket_left", 0x1A, 0},
    {"bracket_right", 0x1B, 0},
    {"ret", 0x1C, 0xFF0D},
    {"ctrl", 0x1D, 0xFFE3},
    {"semicolon", 0x27, 0},
    {"apostrophe", 0x28, 0},
    {"grave_accent", 0x29, 0},
    {"shift", 0x2A, 0xFFE1},
    {"backslash", 0x2B, 0},
    {"comma", 0x33, 0},
    {"dot", 0x34, 0},
    {"slash", 0x35, 0},
    {"shift_r", 0x36, 0xFFE2},
    {"kp_multiply", 0x37, 0xFFAA},
    {"alt", 0x38, 0xFFE9},
    {"spc", 0x39, 0},
    {"caps_lock", 0x3A, 0xFFE5},
    {"f1", 0x3B, 0xFFBE},
    {"f2", 0x3C, 0xFFBF},
    {"f3", 0x3D, 0xFFC0},
    {"f4", 0x3E, 0xFFC1},
    {"f5", 0x3F, 0xFFC2},
    {"f6", 0x40, 0xFFC3},
    {"f7", 0x41, 0xFFC4},
    {"f8", 0x42, 0xFFC5},
    {"f9", 0x43, 0xFFC6},
    {"f10", 0x44, 0xFFC7},
    {"num_lock", 0x45, 0xFF7F},
    {"scroll_lock", 0x46, 0xFF14},
    {"kp_7", 0x47, 0xFFB7},
    {"kp_8", 0x48, 0xFFB8},
    {"kp_9", 0x49, 0xFFB9},
    {"kp_subtract", 0x4A, 0xFFAD},
    {"kp_4", 0x4B, 0xFFB4},
    {"kp_5", 0x4C, 0xFFB5},
    {"kp_6", 0x4D, 0xFFB6},
    {"kp_add", 0x4E, 0xFFAB},
    {"kp_1", 0x4F, 0xFFB1},
    {"kp_2", 0x50, 0xFFB2},
    {"kp_3", 0x51, 0xFFB3},
    {"kp_0", 0x52, 0xFFB0},
    {"kp_decimal", 0x53, 0xFFAE},
    {"sysrq", 0x54, 0xFF15},
    {"less", 0x56, 0},
    {"f11", 0x57, 0xFFC8},
    {"f12", 0x58, 0xFFC9},
    {"kp_enter", kE0 | 0x1C, 0xFF8D},
    {"ctrl_r", kE0 | 0x1D, 0xFFE4},
    {"kp_divide", kE0 | 0x35, 0xFFAF},
    {"print", kE0 | 0x37, 0xFF61},
    {"alt_r", kE0 | 0x38, 0xFFEA},
    {"pause", kE0 | 0x46, 0xFF13},
    {"home", kE0 | 0x47, 0xFF50},
    {"up", kE0 | 0x48, 0xFF52},
    {"pgup", kE0 | 0x49, 0xFF55},
    {"left", kE0 | 0x4B, 0xFF51},
    {"right", kE0 | 0x4D, 0xFF53},
    {"end", kE0 | 0x4F, 0xFF57},
    {"down", kE0 | 0x50, 0xFF54},
    {"pgdn", kE0 | 0x51, 0xFF56},
    {"insert", kE0 | 0x52, 0xFF63},
    {"delete", kE0 | 0x53, 0xFFFF},
    {"meta_l", kE0 | 0x5B, 0xFFEB},
    {"meta_r", kE0 | 0x5C, 0xFFEC},
    {"menu", kE0 | 0x5D, 0xFF67},
};

// The rows of a US keyboard from scan code `first` on.
struct Row {
    uint8_t first;
    std::string_view plain;
    std::string_view shifted;
};

constexpr Row kRows[] = {
    {0x02, "1234567890-=", "!@#$%^&*()_+"},
    {0x10, "qwertyuiop[]", "QWERTYUIOP{}"},
    {0x1E, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
    {0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"},
};

constexpr uint8_t kShift = 0x2A;
constexpr uint8_t kSpace = 0x39;
constexpr uint8_t kTab = 0x0F;
constexpr uint8_t kReturn = 0x1C;

struct Typed {
    KeyCode key;
    bool shifted = false;
};

std::optional<Typed> typed(char character) {
    switch (character) {
        case ' ': return Typed{{kSpace}};
        case '\t': return Typed{{kTab}};
        case '\n': return Typed{{kReturn}};
        default: break;
    }
    for (const Row& row : kRows) {
        for (const bool shifted : {false, true}) {
            const size_t at = (shifted ? row.shifted : row.plain).find(character);
            if (at != std::string_view::npos)
                return Typed{{static_cast<uint8_t>(row.first + at)}, shifted};
        }
    }
    return std::nullopt;
}

// Letters and digits are called as they are.
std::optional<KeyCode> key_of_name(std::string_view name) {
    for (const KeyName& key : kKeys) {
        if (key.name == name) return KeyCode{key.code};
    }
    const bool is_one = name.size() == 1 &&
                        ((name[0] >= 'a' && name[0] <= 'z') || (name[0] >= '0' && name[0] <= '9'));
    if (!is_one) return std::nullopt;
    return typed(name[0])->key;
}

}  // namespace

Result<std::vector<KeyStroke>> strokes_of_keys(std::string_view names) {
    std::vector<KeyStroke> strokes;
    for (size_t start = 0; start <= names.size();) {
        const size_t end = std::min(names.find('-', start), names.size());
        const std::string_view name = names.substr(start, end - start);
        const auto key = key_of_name(name);
        if (!key) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("send-key {}: there is no key {}; keys are called a, 7, ret, "
                                    "spc, esc, f1, up, ctrl, alt, shift, delete, ...",
                                    quote_name(names), quote_name(name)));
        }
        strokes.push_back({*key, true});
        start = end + 1;
    }
    for (size_t i = strokes.size(); i > 0; --i)
        strokes.push_back({strokes[i - 1].key, false});
    return strokes;
}

Result<std::vector<KeyStroke>> strokes_of_text(std::string_view text) {
    std::vector<KeyStroke> strokes;
    for (const char character : text) {
        const auto one = typed(character);
        if (!one) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("send-key --text {}: a US keyboard has no key for all of it; "
                                    "leave out what is not ASCII",
                                    quote_name(text)));
        }
        if (one->shifted) strokes.push_back({{kShift}, true});
        strokes.push_back({one->key, true});
        strokes.push_back({one->key, false});
        if (one->shifted) strokes.push_back({{kShift}, false});
    }
    return strokes;
}

std::optional<KeyCode> key_of_symbol(uint32_t symbol) {
    for (const KeyName& key : kKeys) {
        if (key.symbol != 0 && key.symbol == symbol) return KeyCode{key.code};
    }
    if (symbol < 0x20 || symbol > 0x7E) return std::nullopt;
    const auto one = typed(static_cast<char>(symbol));
    return one ? std::optional(one->key) : std::nullopt;
}

}  // namespace banyan
