#include "app/cli/values.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

tl::unexpected<Error> wrong(std::string_view option, std::string_view text, std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} {}: {}", option, quote_name(text), why));
}

// The shift that a unit letter stands for, or nothing.
int unit_shift(char letter) {
    switch (letter) {
        case 'K':
        case 'k': return 10;
        case 'M':
        case 'm': return 20;
        case 'G':
        case 'g': return 30;
        case 'T':
        case 't': return 40;
        default: return -1;
    }
}

// All of text, or nothing.
bool read_number(std::string_view text, int base, uint64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

Result<uint64_t> parse_size(std::string_view option, std::string_view text) {
    std::string_view digits = text;
    int shift = 0;
    if (!text.empty() && unit_shift(text.back()) > 0) {
        shift = unit_shift(text.back());
        digits.remove_suffix(1);
    }
    uint64_t value = 0;
    if (!read_number(digits, 10, value)) {
        return wrong(option, text,
                     "not a size; give a whole number with K, M, G or T, such as 512M");
    }
    if (value > (std::numeric_limits<uint64_t>::max() >> shift)) {
        return wrong(option, text, "too large a size; give one that the host has");
    }
    return value << shift;
}

Result<uint64_t> parse_number(std::string_view option, std::string_view text, uint64_t most) {
    uint64_t value = 0;
    const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    const bool read =
        hexadecimal ? read_number(text.substr(2), 16, value) : read_number(text, 10, value);
    if (!read || value > most) {
        return wrong(option, text, fmt::format("not a number from 0 to {}; give one", most));
    }
    return value;
}

Result<bool> parse_switch(std::string_view option, std::string_view text) {
    return parse_choice<bool>(option, text, {{"on", true}, {"off", false}});
}

Result<ImageFormat> parse_format(std::string_view option, std::string_view text) {
    Names<ImageFormat> names;
    for (const auto& [name, format] : kImageFormats)
        names.emplace_back(name, format);
    return parse_choice<ImageFormat>(option, text, names);
}

Result<FileWithSettings> parse_settings(std::string_view option, std::string_view text) {
    FileWithSettings result;
    size_t comma = std::min(text.find(','), text.size());
    result.file = text.substr(0, comma);
    if (result.file.empty())
        return wrong(option, text, "no file is named; give FILE[,KEY=VALUE]...");
    while (comma < text.size()) {
        text.remove_prefix(comma + 1);
        comma = std::min(text.find(','), text.size());
        const std::string_view setting = text.substr(0, comma);
        const size_t equals = setting.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            return wrong(option, setting, "not of the form KEY=VALUE; mend or remove it");
        }
        result.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
    }
    return result;
}

tl::unexpected<Error> not_one_of(std::string_view option, std::string_view text,
                                 const std::vector<std::string_view>& names) {
    return wrong(option, text, fmt::format("not known; give one of {}", fmt::join(names, ", ")));
}

}  // namespace banyan
