// What keys are called: QEMU's names (QKeyCode), the characters of the US layout, X's key symbols.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "support/result.hpp"
#include "vm/input.hpp"

namespace banyan {

struct KeyStroke {
    KeyCode key;
    bool pressed = false;

    friend bool operator==(KeyStroke, KeyStroke) = default;
};

// "ctrl-alt-delete", "a", "ret", "f12": pressed in their order and released in the reverse.
Result<std::vector<KeyStroke>> strokes_of_keys(std::string_view names);
// What types this text on a US keyboard.
Result<std::vector<KeyStroke>> strokes_of_text(std::string_view text);

// The key of a US keyboard that has this key symbol, shifted or not (X11, keysymdef.h).
std::optional<KeyCode> key_of_symbol(uint32_t symbol);

}  // namespace banyan
