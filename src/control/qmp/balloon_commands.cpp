// The balloon's commands (QEMU's qapi/machine.json): sizes are of what the guest has, in bytes.
#include "control/qmp/server.hpp"

namespace banyan::qmp {

namespace {

// QEMU's words, and its class, for a machine without one.
constexpr const char* kNoBalloon = "No balloon device has been activated";

}  // namespace

void add_balloon_commands(Commands& commands, VmApi& vm) {
    commands.add({.name = "query-balloon", .run = [&vm](const Arguments&) -> Answer {
                      const auto statistics = vm.balloon_statistics();
                      if (!statistics) return failure(kNoBalloon, ErrorClass::device_not_found);
                      return Json{{"actual", statistics->actual}};
                  }});
    commands.add({.name = "balloon",
                  .arguments = {{"value", Type::integer}},
                  .run = [&vm](const Arguments& a) -> Answer {
                      const int64_t value = a.integer("value");
                      const auto most = static_cast<int64_t>(vm.config().memory);
                      if (value <= 0 || value > most)
                          return failure("Parameter 'value' expects a size up to the VM's memory");
                      if (!vm.balloon_statistics())
                          return failure(kNoBalloon, ErrorClass::device_not_found);
                      const auto set = vm.set_balloon_target(static_cast<uint64_t>(value));
                      if (!set) return failure(set.error());
                      return nothing();
                  }});
}

}  // namespace banyan::qmp
