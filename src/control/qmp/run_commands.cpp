// Commands that change how a VM runs (QEMU's qapi/misc.json and qapi/run-state.json).
#include "control/qmp/server.hpp"

namespace banyan::qmp {

void add_run_commands(Commands& commands, VmApi& vm) {
    commands.add({.name = "stop", .run = [&vm](const Arguments&) -> Answer {
                      vm.pause(PauseReason::user);
                      return nothing();
                  }});
    // A VM that waits for room on the host is not made to run, but what it waits for is tried.
    commands.add({.name = "cont", .run = [&vm](const Arguments&) -> Answer {
                      vm.resume(PauseReason::user);
                      vm.retry_disk_writes();
                      return nothing();
                  }});
    commands.add({.name = "system_powerdown", .run = [&vm](const Arguments&) -> Answer {
                      vm.press_power_button();
                      return nothing();
                  }});
    commands.add({.name = "system_reset", .run = [&vm](const Arguments&) -> Answer {
                      vm.reset();
                      return nothing();
                  }});
    commands.add({.name = "quit", .run = [&vm](const Arguments&) -> Answer {
                      vm.stop("its control socket was told to quit", VmCause::host_quit);
                      return nothing();
                  }});
}

}  // namespace banyan::qmp
