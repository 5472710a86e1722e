#include "app/cli/net_options.hpp"
#include "app/cli/network_tasks.hpp"
#include "app/cli/qmp_service.hpp"
#include "app/cli/run_options.hpp"

namespace banyan {

namespace {

using qmp::Answer;
using qmp::Arguments;
using qmp::Json;

Result<std::string> add_disk(VmApi& vm, const std::string& id, const std::string& text) {
    TRY_ASSIGN(disk, parse_disk(text));
    return vm.add_disk(id, disk);
}

Result<std::string> add_net(VmApi& vm, const std::string& id, const std::string& text,
                            const std::vector<std::string>& published) {
    TRY_ASSIGN(nets, parse_nets({text}, published));
    if (nets.empty())
        return fail(ErrorCode::invalid_argument, "--net none: no card is asked for; give another");
    TRY(join_networks(nets));
    return vm.add_net(id, nets.front());
}

std::vector<std::string> texts_of(const Json* list) {
    std::vector<std::string> texts;
    if (list == nullptr) return texts;
    for (const Json& one : *list)
        texts.push_back(one.is_string() ? one.get<std::string>() : std::string());
    return texts;
}

Answer device_add(VmApi& vm, const Arguments& a) {
    if (a.has("disk") == a.has("net"))
        return qmp::failure("Parameter 'disk' or 'net' is missing, or both are given");
    const std::string id = a.string("id");
    const auto added = a.has("disk")
                           ? add_disk(vm, id, a.string("disk"))
                           : add_net(vm, id, a.string("net"), texts_of(a.inside("publish")));
    if (!added) return qmp::failure(added.error());
    return Json{{"id", *added}};
}

std::string_view name_of_state(DeviceFacts::State state) {
    switch (state) {
        case DeviceFacts::State::fixed: return "fixed";
        case DeviceFacts::State::added: return "added";
        case DeviceFacts::State::leaving: return "leaving";
    }
    return {};
}

Json list_of_devices(const VmApi& vm) {
    Json list = Json::array();
    for (const DeviceFacts& device : vm.devices()) {
        list.push_back({{"id", device.id},
                        {"kind", device.kind == DeviceFacts::Kind::disk ? "disk" : "net"},
                        {"state", name_of_state(device.state)},
                        {"what", device.what}});
    }
    return list;
}

}  // namespace

void add_device_options_commands(qmp::Commands& commands, VmApi& vm) {
    using qmp::Type;
    commands.add({.name = "__org.banyan_device-add",
                  .arguments = {{"id", Type::string, true},
                                {"disk", Type::string, true},
                                {"net", Type::string, true},
                                {"publish", Type::list, true}},
                  .run = [&vm](const Arguments& a) { return device_add(vm, a); }});
    commands.add({.name = "__org.banyan_query-devices",
                  .run = [&vm](const Arguments&) -> Answer { return list_of_devices(vm); }});
}

}  // namespace banyan
