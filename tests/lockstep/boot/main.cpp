// lockstep_boot: boots a guest on the JIT, and compares what it does with the interpreter.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <string>
#include <string_view>

#include "host/linux/event_loop.hpp"
#include "host/linux/stderr_log.hpp"
#include "lockstep/boot/checked_engine.hpp"
#include "vmm/vm.hpp"

namespace banyan::lockstep {
namespace {

constexpr int kDiffer = 1;
constexpr int kFailed = 2;

std::atomic<bool> signalled{false};
static_assert(std::atomic<bool>::is_always_lock_free);

struct Options {
    VmConfig vm;
    CheckOptions check;
    uint64_t at_least = 0;  // comparisons
};

int usage() {
    std::fputs(
        "lockstep_boot --kernel FILE --initrd FILE [--append TEXT] [--console FILE] [--cpu MODEL]\n"
        "    [--disk FILE] [--memory MIB] [--on-signal yes] [--one-in N] [--at-least N] "
        "[--spoil-at N]\n"
        "Until the guest powers off. 0: no difference, 1: a difference, 2: something else failed.\n"
        "--disk FILE: read-only, and not read while stretches are compared.\n"
        "--on-signal yes: compares from SIGUSR1 on, once the guest shows what is wrong.\n"
        "--one-in N: compares one of N thousand stretches; --at-least N: fails after fewer.\n"
        "--spoil-at N: after N comparisons an instruction of the interpreter is made wrong.\n",
        stderr);
    return kFailed;
}

// RDRAND, which answers something else each time, is in no level of the psABI.
VmConfig default_config() {
    VmConfig config;
    config.name = "lockstep";
    config.memory = uint64_t{256} << 20;
    config.cpu_model = "x86-64-v3";
    config.rng = false;
    config.balloon = false;
    config.reboot = false;
    config.console = {ConsoleKind::none, ""};
    return config;
}

bool parse(int argc, char** argv, Options& options) {
    options.vm = default_config();
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view name = argv[i];
        const char* const value = argv[i + 1];
        if (name == "--kernel") {
            options.vm.kernel = value;
        } else if (name == "--initrd") {
            options.vm.initrds = {{value, ""}};
        } else if (name == "--append") {
            options.vm.command_line = value;
        } else if (name == "--console") {
            options.vm.console = {ConsoleKind::file, value};
        } else if (name == "--cpu") {
            options.vm.cpu_model = value;
        } else if (name == "--disk") {
            options.vm.disks.push_back({value, true, ""});
        } else if (name == "--memory") {
            options.vm.memory = std::strtoull(value, nullptr, 10) << 20;
        } else if (name == "--on-signal") {
            options.check.begin = &signalled;
            std::signal(SIGUSR1, [](int) { signalled = true; });
        } else if (name == "--one-in") {
            options.check.one_in = std::max<uint64_t>(std::strtoull(value, nullptr, 10), 1);
        } else if (name == "--at-least") {
            options.at_least = std::strtoull(value, nullptr, 10);
        } else if (name == "--spoil-at") {
            options.check.spoil_at = std::strtoull(value, nullptr, 10);
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && !options.vm.kernel.empty();
}

int failed(const Error& error) {
    print_message(error.text());
    return kFailed;
}

int report(const Options& options, const CheckResult& result, const VmOutcome& outcome) {
    fmt::print(
        "lockstep_boot: {} stretches compared, {} instructions, {} faults; not compared: {} "
        "that ask devices or clocks, {} too long, {} that cannot be repeated\n",
        result.compared, result.instructions, result.faults, result.outside, result.too_long,
        result.not_repeatable);
    if (!result.difference.empty()) {
        fmt::print("{}", result.difference);
        return kDiffer;
    }
    if (outcome.end != VmEnd::powered_off) {
        fmt::print("the guest did not power off: {}\n{}\n", outcome.message, outcome.registers);
        return kFailed;
    }
    if (result.compared < options.at_least) {
        fmt::print("fewer than {}: choose a smaller --one-in\n", options.at_least);
        return kFailed;
    }
    return 0;
}

int boot(const Options& options) {
    auto loop = EventLoop::create();
    if (!loop) return failed(loop.error());
    CheckResult result;
    VmOutcome outcome;
    {
        auto vm = Vm::create(options.vm, checked_engine(options.check, result), **loop);
        if (!vm) return failed(vm.error());
        outcome = (*vm)->run();
    }
    return report(options, result, outcome);
}

}  // namespace
}  // namespace banyan::lockstep

int main(int argc, char** argv) {
    banyan::install_stderr_log();
    banyan::lockstep::Options options;
    if (!banyan::lockstep::parse(argc, argv, options)) return banyan::lockstep::usage();
    return banyan::lockstep::boot(options);
}
