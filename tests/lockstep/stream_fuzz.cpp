// Random bytes as code, at CPL 3 and CPL 0, on the oracle and on the engine that LOCKSTEP_ENGINE
// names, else the last of the table. The machine is that of the streams; whatever cannot be
// repaired ends the program.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "lockstep/kernel.hpp"
#include "lockstep/lockstep.hpp"

namespace banyan::lockstep {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kStart = 0xF80;  // of the code: its page ends soon
constexpr uint64_t kEnd = kCodeSize - 16;
constexpr size_t kMaxCode = 512;
constexpr uint16_t kExit = 0xCD | kExitVector << 8;  // INT n

const EngineEntry& engine_under_test() {
    const char* name = std::getenv("LOCKSTEP_ENGINE");
    const EngineEntry* entry = name == nullptr ? &engines().back() : find_engine(name);
    if (entry == nullptr) std::abort();
    return *entry;
}

// A machine without code, at this privilege level.
Program make_base(bool supervisor) {
    Program program;
    program.settings.supervisor = supervisor;
    program.settings.exception_limit = 40;
    Random random(1, supervisor ? 1 : 0);
    build_page_tables(program.image, random);
    build_kernel(program.image, program.settings);
    const uint64_t window = program.settings.window() + kCode;
    program.image.put(kControl + kControlResume, window + kEnd);
    for (uint64_t offset = 0; offset < kCodeSize; offset += sizeof(kExit))
        program.image.put(kCode + offset, kExit);
    program.state = initial_state(program.image, program.settings, window + kStart);
    for (uint64_t i = 0; i < 16; ++i) {
        if (i != x86::kRsp) program.state.gpr[i] = program.settings.window() + kData + i * 0x7F8;
    }
    program.state.gpr[x86::kRcx] = 40;  // of repeated instructions and loops
    return program;
}

}  // namespace
}  // namespace banyan::lockstep

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan::lockstep;
    if (size < 2) return 0;
    static const Program kBases[] = {make_base(false), make_base(true)};
    Program program = kBases[data[0] & 1];
    const size_t length = std::min(size - 1, kMaxCode);
    auto& bytes = program.image.bytes();
    std::copy_n(data + 1, length, &bytes[kCode + kStart]);
    const RunOptions options{.time = 2000ms, .cpu_model = "x86-64-v3"};
    const Comparison comparison =
        compare_engines(engines().front(), engine_under_test(), program, options);
    if (comparison.equal) return 0;
    std::fprintf(stderr, "%s", comparison.report.c_str());
    std::abort();
}
