#include "control/qmp/commands.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "support/assert.hpp"

namespace banyan::qmp {

namespace {

std::string_view name_of(Type type) {
    switch (type) {
        case Type::string: return "string";
        case Type::integer: return "integer";
        case Type::number: return "number";
        case Type::boolean: return "boolean";
        case Type::list: return "array";
        case Type::object: return "object";
    }
    return {};
}

bool is_integer(const Json& value) {
    return value.is_number_integer() &&
           (!value.is_number_unsigned() ||
            value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
}

bool fits(const Json& value, Type type) {
    switch (type) {
        case Type::string: return value.is_string();
        case Type::integer: return is_integer(value);
        case Type::number: return value.is_number();
        case Type::boolean: return value.is_boolean();
        case Type::list: return value.is_array();
        case Type::object: return value.is_object();
    }
    return false;
}

bool takes(const Command& command, std::string_view name) {
    return std::any_of(command.arguments.begin(), command.arguments.end(),
                       [&](const Argument& one) { return one.name == name; });
}

// What it returns when all is well is nothing.
Answer check(const Command& command, const Json& values) {
    for (const Argument& argument : command.arguments) {
        const auto found = values.find(argument.name);
        if (found == values.end()) {
            if (argument.optional) continue;
            return failure(fmt::format("Parameter '{}' is missing", argument.name));
        }
        if (!fits(*found, argument.type)) {
            return failure(fmt::format("Invalid parameter type for '{}', expected: {}",
                                       argument.name, name_of(argument.type)));
        }
    }
    for (const auto& [name, value] : values.items()) {
        if (!takes(command, name))
            return failure(fmt::format("Parameter '{}' is unexpected", name));
    }
    return nothing();
}

}  // namespace

tl::unexpected<Failure> failure(std::string text, ErrorClass kind) {
    return tl::unexpected(Failure{kind, std::move(text)});
}

tl::unexpected<Failure> failure(const Error& error) {
    return failure(std::string(error.text()));
}

std::string Arguments::string(std::string_view name, std::string_view otherwise) const {
    return has(name) ? values_.find(name)->get<std::string>() : std::string(otherwise);
}

int64_t Arguments::integer(std::string_view name, int64_t otherwise) const {
    return has(name) ? values_.find(name)->get<int64_t>() : otherwise;
}

double Arguments::number(std::string_view name, double otherwise) const {
    return has(name) ? values_.find(name)->get<double>() : otherwise;
}

bool Arguments::boolean(std::string_view name, bool otherwise) const {
    return has(name) ? values_.find(name)->get<bool>() : otherwise;
}

const Json* Arguments::inside(std::string_view name) const {
    const auto found = values_.find(name);
    return found != values_.end() ? &*found : nullptr;
}

void Commands::add(Command command) {
    const std::string_view name = command.name;
    const bool added = commands_.emplace(name, std::move(command)).second;
    BANYAN_ASSERT(added);
}

std::vector<std::string_view> Commands::names() const {
    std::vector<std::string_view> all;
    for (const auto& [name, command] : commands_)
        all.push_back(name);
    return all;
}

Answer Commands::call(std::string_view name, const Json* arguments) const {
    const auto found = commands_.find(name);
    if (found == commands_.end()) {
        return failure(fmt::format("The command {} has not been found", name),
                       ErrorClass::command_not_found);
    }
    const Command& command = found->second;
    Json values = arguments != nullptr ? *arguments : Json::object();
    if (auto checked = check(command, values); !checked) return checked;
    return command.run(Arguments(std::move(values)));
}

}  // namespace banyan::qmp
