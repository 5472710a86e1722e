// Model-specific registers. Source: Intel SDM vol. 4, AMD APM vol. 2 appendix A, Linux
// Documentation/virt/kvm/x86/msr.rst.
#pragma once

#include <cstdint>

namespace banyan::interp {

class Cpu;

// False: the register does not exist (read), or the value is not allowed (write): #GP(0).
[[nodiscard]] bool read_msr(Cpu& cpu, uint32_t index, uint64_t& value);
[[nodiscard]] bool write_msr(Cpu& cpu, uint32_t index, uint64_t value);

// The guest's time stamp counter.
uint64_t guest_tsc(const Cpu& cpu);

}  // namespace banyan::interp
