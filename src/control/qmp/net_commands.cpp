// Commands on the VM's networks. QEMU has none of these but in words of its human monitor.
#include <optional>

#include "control/qmp/server.hpp"

namespace banyan::qmp {

namespace {

Answer done(const Result<void>& result) {
    if (!result) return failure(result.error());
    return nothing();
}

using ChangePort = Result<void> (VmApi::*)(const PublishedPort&);

// Ports are named as on the command line: "[ADDR:]HOSTPORT:GUESTPORT[/udp]".
Answer change_port(VmApi& vm, ChangePort change, const Arguments& arguments) {
    const auto port = parse_published_port("port", arguments.string("port"));
    if (!port) return failure(port.error());
    return done((vm.*change)(*port));
}

// Of a card, by its number; nothing: there is no such number.
std::optional<size_t> card_of(const Arguments& arguments) {
    constexpr int64_t kMost = 255;
    const int64_t card = arguments.integer("card", 0);
    if (card < 0 || card > kMost) return {};
    return static_cast<size_t>(card);
}

Answer set_rate(VmApi& vm, const Arguments& arguments) {
    const auto card = card_of(arguments);
    const int64_t rate = arguments.integer("bytes-per-second");
    if (!card) return failure("Parameter 'card' expects the number of a card");
    if (rate != 0 &&
        (rate < static_cast<int64_t>(kLeastNetRate) || rate > static_cast<int64_t>(kMostNetRate)))
        return failure("Parameter 'bytes-per-second' expects 0, or 1000 to 2^40");
    return done(vm.set_net_rate(*card, static_cast<uint64_t>(rate)));
}

Answer capture(VmApi& vm, const Arguments& arguments) {
    const auto card = card_of(arguments);
    if (!card) return failure("Parameter 'card' expects the number of a card");
    return done(vm.capture_frames(*card, arguments.string("socket")));
}

}  // namespace

void add_net_commands(Commands& commands, VmApi& vm) {
    commands.add(
        {.name = "__org.banyan_publish",
         .arguments = {{"port", Type::string}},
         .run = [&vm](const Arguments& a) { return change_port(vm, &VmApi::publish, a); }});
    commands.add(
        {.name = "__org.banyan_unpublish",
         .arguments = {{"port", Type::string}},
         .run = [&vm](const Arguments& a) { return change_port(vm, &VmApi::unpublish, a); }});
    commands.add({.name = "__org.banyan_query-published", .run = [&vm](const Arguments&) -> Answer {
                      Json list = Json::array();
                      for (const PublishedPort& port : vm.published())
                          list.push_back(to_text(port));
                      return list;
                  }});
    commands.add({.name = "__org.banyan_capture",
                  .arguments = {{"socket", Type::string}, {"card", Type::integer, true}},
                  .run = [&vm](const Arguments& a) { return capture(vm, a); }});
    commands.add({.name = "__org.banyan_set-net-rate",
                  .arguments = {{"bytes-per-second", Type::integer}, {"card", Type::integer, true}},
                  .run = [&vm](const Arguments& a) { return set_rate(vm, a); }});
    commands.add({.name = "__org.banyan_query-net-rates",
                  .run = [&vm](const Arguments&) -> Answer { return Json(vm.net_rates()); }});
}

}  // namespace banyan::qmp
