// `banyan screenshot` and `banyan send-key`: a running VM's screen and keyboard.
#pragma once

#include <string>
#include <vector>

#include "support/result.hpp"

namespace banyan {

class RunDirectory;

// `vm`: its name or process number.
Result<void> save_screenshot(const RunDirectory& directory, const std::string& vm,
                             const std::string& file);
Result<std::string> screenshot_text(const RunDirectory& directory, const std::string& vm);

// The text first, then the keys ("ctrl-alt-delete").
Result<void> send_keys(const RunDirectory& directory, const std::string& vm,
                       const std::string& text, const std::vector<std::string>& keys);

}  // namespace banyan
