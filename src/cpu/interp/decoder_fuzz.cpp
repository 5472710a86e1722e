// Random bytes as code, decoded in every mode: a length within bounds and a handler, whatever they
// are.
#include <algorithm>
#include <array>

#include "cpu/interp/arena.hpp"
#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "support/assert.hpp"

namespace banyan::interp {
namespace {

constexpr uint32_t kFlatUser64 =
    Mode::kCode64 | Mode::kProtected | Mode::kLongMode | Mode::kUser | Mode::kFlat;
constexpr std::array<uint32_t, 6> kModes = {
    0,
    Mode::kProtected,
    Mode::kProtected | Mode::kCode32 | Mode::kStack32 | Mode::kFlat,
    Mode::kVm86 | Mode::kProtected | Mode::kUser,
    kFlatUser64,
    kFlatUser64 | Mode::kAvxInvalid | Mode::kSseTrap | Mode::kFpuTrap};

const CpuModel& model() {
    static const CpuModel all = *CpuModel::create("max", 1, 1'000'000'000);
    return all;
}

void decode_all(const uint8_t* bytes, size_t size, Mode mode) {
    Arena arena;
    while (size != 0) {
        Op op;
        const auto available = static_cast<unsigned>(std::min<size_t>(size, 15));
        const unsigned length = decode(bytes, available, 0x1000, mode, model(), arena, op);
        if (length == 0) return;  // more bytes would be needed
        BANYAN_ASSERT(length <= available && op.handler != nullptr && op.length == length);
        bytes += length;
        size -= length;
    }
}

}  // namespace
}  // namespace banyan::interp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    for (const uint32_t bits : banyan::interp::kModes) {
        banyan::interp::decode_all(data, size, banyan::interp::Mode{bits});
    }
    return 0;
}
