// The table between clients and the VM: which commands there are, and what they are given.
//
// A command's arguments are checked before it runs, so that it needs not. Texts of errors are
// QEMU's where it has some, because clients look for them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "support/result.hpp"

namespace banyan::qmp {

using Json = nlohmann::ordered_json;

// docs/interop/qmp-spec.txt of QEMU, section 2.4.2, and qapi/error.json.
enum class ErrorClass : uint8_t { generic, command_not_found, device_not_found };

struct Failure {
    ErrorClass kind = ErrorClass::generic;
    std::string text;
};
using Answer = tl::expected<Json, Failure>;

tl::unexpected<Failure> failure(std::string text, ErrorClass kind = ErrorClass::generic);
tl::unexpected<Failure> failure(const Error& error);

enum class Type : uint8_t { string, integer, number, boolean, list, object };

struct Argument {
    std::string_view name;
    Type type = Type::string;
    bool optional = false;
};

// Of a command, after the check: what is there has its type, and what is not optional is there.
class Arguments {
public:
    explicit Arguments(Json values) : values_(std::move(values)) {}

    bool has(std::string_view name) const { return values_.contains(name); }
    std::string string(std::string_view name, std::string_view otherwise = {}) const;
    int64_t integer(std::string_view name, int64_t otherwise = 0) const;
    double number(std::string_view name, double otherwise = 0) const;
    bool boolean(std::string_view name, bool otherwise = false) const;
    // A list or an object, whose inside is not checked; null when it is not there.
    const Json* inside(std::string_view name) const;

private:
    const Json values_;
};

struct Command {
    std::string_view name;  // of static storage
    std::vector<Argument> arguments = {};
    std::function<Answer(const Arguments& arguments)> run;
};

class Commands {
public:
    // Each name once.
    void add(Command command);
    // In order of their names.
    std::vector<std::string_view> names() const;
    // `arguments`: null, or what the client gave.
    Answer call(std::string_view name, const Json* arguments) const;

private:
    std::map<std::string_view, Command> commands_;
};

// What commands with nothing to say return.
inline Json nothing() {
    return Json::object();
}

}  // namespace banyan::qmp
