#include "app/definition/toml_file.hpp"

#define TOML_EXCEPTIONS 0
#include <filesystem>
#include <fmt/format.h>
#include <sstream>
#include <toml++/toml.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

tl::unexpected<Error> wrong_in(std::string_view file, const toml::source_position& at,
                               std::string_view why) {
    return fail(ErrorCode::invalid_data,
                fmt::format("{} line {}: {}", quote_name(file), at.line, why));
}

// Null: it is none that an option may have.
OptionValues value_of(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* flag = node.as_boolean()) return flag->get();
    if (const auto* number = node.as_integer(); number != nullptr && number->get() >= 0)
        return static_cast<uint64_t>(number->get());
    const auto* list = node.as_array();
    if (list == nullptr) return nullptr;
    OptionValues values = OptionValues::array();
    for (const toml::node& one : *list) {
        const auto* text = one.as_string();
        if (text == nullptr) return nullptr;
        values.push_back(text->get());
    }
    return values;
}

class TomlReader {
public:
    TomlReader(std::string_view file, const std::string& directory) : file_(file) {
        definition_.directory = directory;
    }

    Result<VmDefinition> read(const toml::table& table) {
        for (const auto& [key, node] : table)
            TRY(take(std::string(key.str()), node));
        return std::move(definition_);
    }

private:
    Result<void> take(const std::string& key, const toml::node& node) {
        if (key == "name") return take_text(node, definition_.name);
        if (key == "directory") {
            std::string given;
            TRY(take_text(node, given));
            definition_.directory = std::filesystem::path(definition_.directory) / given;
            return {};
        }
        if (key == "restart") {
            std::string given;
            TRY(take_text(node, given));
            TRY_ASSIGN(policy, parse_restart(fmt::format("{}: restart", quote_name(file_)), given));
            definition_.restart = policy;
            return {};
        }
        if (key == "autostart") {
            const auto* flag = node.as_boolean();
            if (flag == nullptr) return wrong_in(file_, node.source().begin, "give true or false");
            definition_.autostart = flag->get();
            return {};
        }
        OptionValues value = value_of(node);
        if (value.is_null()) {
            return wrong_in(file_, node.source().begin,
                            "give a text, a number, true, or a list of texts");
        }
        definition_.options[key] = std::move(value);
        return {};
    }
    Result<void> take_text(const toml::node& node, std::string& to) const {
        const auto* text = node.as_string();
        if (text == nullptr) return wrong_in(file_, node.source().begin, "give a text");
        to = text->get();
        return {};
    }

    const std::string_view file_;
    VmDefinition definition_;
};

void put(toml::table& table, const std::string& key, const OptionValues& value) {
    if (value.is_boolean()) {
        table.insert(key, value.get<bool>());
    } else if (value.is_number_unsigned()) {
        table.insert(key, value.get<int64_t>());
    } else if (value.is_string()) {
        table.insert(key, value.get<std::string>());
    } else {
        toml::array list;
        for (const OptionValues& one : value)
            list.push_back(one.get<std::string>());
        table.insert(key, std::move(list));
    }
}

}  // namespace

Result<VmDefinition> definition_from_toml(std::string_view file, std::string_view text,
                                          const std::string& directory) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        return wrong_in(file, parsed.error().source().begin,
                        fmt::format("{}; see docs/store.md", parsed.error().description()));
    }
    TRY_ASSIGN(definition, TomlReader(file, directory).read(parsed.table()));
    TRY(check_options(quote_name(file), definition.options));
    return definition;
}

std::string to_toml(const VmDefinition& definition) {
    toml::table table;
    for (const auto& [key, value] : definition.options.items())
        put(table, key, value);
    table.insert_or_assign("name", definition.name);
    table.insert_or_assign("directory", definition.directory);
    table.insert_or_assign("restart", std::string(name_of(definition.restart)));
    table.insert_or_assign("autostart", definition.autostart);
    std::ostringstream text;
    text << toml::toml_formatter(table) << '\n';
    return text.str();
}

}  // namespace banyan
