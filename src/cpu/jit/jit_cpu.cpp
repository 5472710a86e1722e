#include "cpu/jit/jit_cpu.hpp"

#include <new>
#include <sys/mman.h>

namespace banyan::jit {

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kStackSize = 1U << 20;
// A page that cannot be touched ends the stack.
constexpr size_t kBelow = kPage + kStackSize;
constexpr size_t kAreaSize = kBelow + sizeof(JitCpu);

static_assert(kBelow % alignof(JitCpu) == 0);

}  // namespace

void JitCpuDeleter::operator()(JitCpu* cpu) const {
    cpu->~JitCpu();
    munmap(reinterpret_cast<std::byte*>(cpu) - kBelow, kAreaSize);
}

JitCpuPtr make_jit_cpu(const VcpuWiring& wiring, GuestMemory& memory, const Clock& clock,
                       const interp::CpuModel& model, interp::CodeCoherence& coherence) {
    void* area =
        mmap(nullptr, kAreaSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) return nullptr;
    if (mprotect(area, kPage, PROT_NONE) != 0) {
        munmap(area, kAreaSize);
        return nullptr;
    }
    void* place = static_cast<std::byte*>(area) + kBelow;
    return JitCpuPtr(new (place)
                         JitCpu(wiring, memory, clock, model, coherence, interp::Storage::zeroed));
}

}  // namespace banyan::jit
