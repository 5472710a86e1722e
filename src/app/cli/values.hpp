// Values of options: sizes, numbers, lists of settings. Errors are of the form "--option value:
// why; what to do".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/block/image_format.hpp"
#include "support/result.hpp"

namespace banyan {

// Bytes, or with K, M, G, T (powers of 1024, either case). "512M", "1.5G" is none.
Result<uint64_t> parse_size(std::string_view option, std::string_view text);

// Decimal, or hexadecimal after 0x; at most `most`.
Result<uint64_t> parse_number(std::string_view option, std::string_view text, uint64_t most);

Result<bool> parse_switch(std::string_view option, std::string_view text);  // on, off
Result<ImageFormat> parse_format(std::string_view option, std::string_view text);

// "FILE,key=value,...": the part before the first comma, and the settings in their order.
struct FileWithSettings {
    std::string file;
    std::vector<std::pair<std::string, std::string>> settings;
};
Result<FileWithSettings> parse_settings(std::string_view option, std::string_view text);

// The value that `names` gives to text, or an error that lists the names.
template <class T>
using Names = std::vector<std::pair<std::string_view, T>>;

tl::unexpected<Error> not_one_of(std::string_view option, std::string_view text,
                                 const std::vector<std::string_view>& names);

template <class T>
Result<T> parse_choice(std::string_view option, std::string_view text, const Names<T>& names) {
    std::vector<std::string_view> known;
    for (const auto& [name, value] : names) {
        if (name == text) return value;
        known.push_back(name);
    }
    return not_one_of(option, text, known);
}

}  // namespace banyan
