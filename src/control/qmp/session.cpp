#include "control/qmp/session.hpp"

#include <fmt/format.h>

namespace banyan::qmp {

namespace {

constexpr std::string_view kNegotiate = "qmp_capabilities";

std::string_view name_of(ErrorClass kind) {
    switch (kind) {
        case ErrorClass::generic: return "GenericError";
        case ErrorClass::command_not_found: return "CommandNotFound";
        case ErrorClass::device_not_found: return "DeviceNotFound";
    }
    return {};
}

// Null: it is not there.
const Json* member(const Json& message, std::string_view name) {
    const auto found = message.find(name);
    return found != message.end() ? &*found : nullptr;
}

// What QEMU's qmp_dispatch_check_obj() looks at, in its order.
Answer check_form(const Json& message) {
    for (const auto& [name, value] : message.items()) {
        if (name == "execute") {
            if (!value.is_string()) return failure("QMP input member 'execute' must be a string");
        } else if (name == "arguments") {
            if (!value.is_object())
                return failure("QMP input member 'arguments' must be an object");
        } else if (name != "id") {
            return failure(fmt::format("QMP input member '{}' is unexpected", name));
        }
    }
    if (member(message, "execute") == nullptr) return failure("QMP input lacks member 'execute'");
    return nothing();
}

}  // namespace

// Its 7.2 is what Debian 12 has, and what these commands were compared with.
Json version_facts(std::string_view banyan_version) {
    return {{"qemu", {{"micro", 0}, {"minor", 2}, {"major", 7}}},
            {"package", fmt::format("banyan-{}", banyan_version)}};
}

Session::Session(const Commands& commands, std::string_view version, Send send)
    : commands_(commands),
      send_(std::move(send)),
      splitter_({.value = [this](std::string_view text) { on_message(text); },
                 .error =
                     [this](std::string_view why) {
                         refuse({ErrorClass::generic, std::string(why)}, nullptr);
                     }}) {
    Json greeting;
    greeting["QMP"]["version"] = version_facts(version);
    greeting["QMP"]["capabilities"] = Json::array();
    this->send(greeting);
}

void Session::on_message(std::string_view text) {
    const Json message = Json::parse(text, nullptr, false);
    if (message.is_discarded())
        return refuse({ErrorClass::generic, "JSON parse error, that is no JSON value"}, nullptr);
    if (!message.is_object())
        return refuse({ErrorClass::generic, "QMP input must be a JSON object"}, nullptr);
    const Json* const id = member(message, "id");
    const Answer result = answer(message);
    if (!result) return refuse(result.error(), id);
    Json reply{{"return", *result}};
    if (id != nullptr) reply["id"] = *id;
    send(reply);
}

Answer Session::answer(const Json& message) {
    if (auto formed = check_form(message); !formed) return formed;
    const auto name = member(message, "execute")->get<std::string>();
    const Json* const arguments = member(message, "arguments");
    if (name == kNegotiate) return negotiate(arguments);
    if (!negotiated_) {
        return failure("Expecting capabilities negotiation with 'qmp_capabilities'",
                       ErrorClass::command_not_found);
    }
    return commands_.call(name, arguments);
}

Answer Session::negotiate(const Json* arguments) {
    if (negotiated_) {
        return failure("Capabilities negotiation is already complete, command ignored",
                       ErrorClass::command_not_found);
    }
    if (arguments != nullptr) {
        for (const auto& [name, value] : arguments->items()) {
            if (name != "enable") return failure(fmt::format("Parameter '{}' is unexpected", name));
            if (!value.is_array())
                return failure("Invalid parameter type for 'enable', expected: array");
            if (!value.empty()) return failure("the greeting offers no capabilities");
        }
    }
    negotiated_ = true;
    return nothing();
}

void Session::tell(const Json& event) {
    if (negotiated_) send(event);
}

void Session::refuse(const Failure& why, const Json* id) {
    Json reply;
    reply["error"] = {{"class", name_of(why.kind)}, {"desc", why.text}};
    if (id != nullptr) reply["id"] = *id;
    send(reply);
}

// Names of the host's need not be UTF-8, and JSON must.
void Session::send(const Json& message) const {
    send_(message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\r\n");
}

}  // namespace banyan::qmp
