#include <cstdio>

#include "app/cli/cli.hpp"

namespace {

// What the program is compiled for (docs/decisions/0030-processor-baseline.md).
bool processor_suffices() {
    return __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("popcnt") != 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (!processor_suffices()) {
        std::fputs(
            "banyan: cannot run here: this host's processor lacks SSE4.2 or POPCNT; use one made "
            "since 2009 (x86-64-v2)\n",
            stderr);
        return 1;
    }
    return banyan::run_cli(argc, argv);
}
