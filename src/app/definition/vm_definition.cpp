#include "app/definition/vm_definition.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

bool is_text_without_end(const OptionValues& value) {
    return value.is_string() && value.get_ref<const std::string&>().find('\0') == std::string::npos;
}

bool is_value(const OptionValues& value) {
    if (value.is_array()) return std::ranges::all_of(value, is_text_without_end);
    return value.is_boolean() || value.is_number_unsigned() || is_text_without_end(value);
}

}  // namespace

Result<void> check_options(std::string_view what, const OptionValues& options) {
    if (!options.is_object()) {
        return fail(ErrorCode::invalid_data,
                    fmt::format("{}: its options are damaged; create it again", what));
    }
    for (const auto& [name, value] : options.items()) {
        if (is_value(value)) continue;
        return fail(ErrorCode::invalid_data,
                    fmt::format("{}: the value of {} is none; give a text, a number, true, or a "
                                "list of texts",
                                what, quote_name(name)));
    }
    return {};
}

StoredDefinition to_stored(const VmDefinition& definition) {
    return {definition.name, definition.directory,
            definition.options.dump(-1, ' ', false, OptionValues::error_handler_t::replace),
            definition.restart, definition.autostart};
}

Result<VmDefinition> from_stored(const StoredDefinition& stored) {
    VmDefinition definition{stored.name, stored.directory, stored.restart, stored.autostart,
                            OptionValues::parse(stored.options, nullptr, false)};
    TRY(check_options("the VM " + quote_name(stored.name), definition.options));
    return definition;
}

Result<RestartPolicy> parse_restart(std::string_view option, std::string_view text) {
    if (const auto policy = restart_policy_of(text)) return *policy;
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} {}: that is no policy; give no, on-failure or always", option,
                            quote_name(text)));
}

}  // namespace banyan
