#include <fmt/format.h>

#include "app/cli/png_file.hpp"
#include "app/cli/qmp_service.hpp"
#include "app/screen/key_names.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

using qmp::Answer;
using qmp::Arguments;

Answer screendump(VmApi& vm, const Arguments& arguments) {
    const std::string format = arguments.string("format", "png");
    if (format != "png") {
        return qmp::failure(fmt::format("Parameter 'format' does not accept value '{}'", format));
    }
    if (vm.display() == nullptr)
        return qmp::failure("There is no console to take a screendump from");
    DisplayFrame frame;
    vm.display()->update(frame);
    const auto written = write_png(frame, arguments.string("filename"));
    if (written) return qmp::nothing();
    const bool by_sandbox = written.error().code() == ErrorCode::permission ||
                            written.error().code() == ErrorCode::unsupported;
    if (vm.config().sandbox == SandboxMode::on && by_sandbox) {
        return qmp::failure(fmt::format(
            "write {}: the sandbox of the VM has files made below the directories of --allow-write "
            "only; or use banyan screenshot",
            quote_name(arguments.string("filename"))));
    }
    return qmp::failure(written.error());
}

// {"type": "qcode", "data": NAME} or {"type": "number", "data": KeyCode}.
Result<KeyCode> key_of(const qmp::Json& value) {
    const auto wrong = [] {
        return fail(ErrorCode::invalid_argument,
                    "Invalid parameter type for 'keys', expected: KeyValue");
    };
    if (!value.is_object() || value.size() != 2) return wrong();
    const auto type = value.find("type");
    const auto data = value.find("data");
    if (type == value.end() || data == value.end()) return wrong();
    if (*type == "number" && data->is_number_unsigned()) {
        const auto code = data->get<uint64_t>();
        if (code == 0 || code > 0xFF) return wrong();
        return KeyCode{static_cast<uint8_t>(code)};
    }
    if (*type != "qcode" || !data->is_string()) return wrong();
    const auto name = data->get<std::string>();
    // One key: "ctrl-a" names two here, and none in QMP.
    TRY_ASSIGN(strokes, strokes_of_keys(name));
    if (strokes.size() != 2) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Parameter 'data' does not accept value '{}'", name));
    }
    return strokes[0].key;
}

// Pressed in their order and released in the reverse; how long they are held down is the guest's
// pace.
Answer send_key(KeyFeeder* feeder, const Arguments& arguments) {
    if (feeder == nullptr) return qmp::failure("the VM has no keyboard; give it --machine pc");
    std::vector<KeyStroke> strokes;
    for (const qmp::Json& value : *arguments.inside("keys")) {
        const auto key = key_of(value);
        if (!key) return qmp::failure(key.error());
        strokes.push_back({*key, true});
    }
    for (size_t i = strokes.size(); i > 0; --i)
        strokes.push_back({strokes[i - 1].key, false});
    for (const KeyStroke stroke : strokes) {
        if (!feeder->add(stroke))
            return qmp::failure("too many keys wait; the guest does not take them");
    }
    return qmp::nothing();
}

}  // namespace

void add_screen_commands(qmp::Commands& commands, VmApi& vm, KeyFeeder* keys) {
    using qmp::Type;
    commands.add({.name = "screendump",
                  .arguments = {{"filename"}, {"format", Type::string, true}},
                  .run = [&vm](const Arguments& a) { return screendump(vm, a); }});
    commands.add({.name = "send-key",
                  .arguments = {{"keys", Type::list}, {"hold-time", Type::integer, true}},
                  .run = [keys](const Arguments& a) { return send_key(keys, a); }});
}

}  // namespace banyan
