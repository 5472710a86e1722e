// MSRs that only Intel's or only AMD's processors have, as far as operating systems use them on a
// virtual machine.
#pragma once

#include <cstdint>

namespace banyan::interp {

class Cpu;

// AMD: "automatic IBRS", by which a kernel needs no other protection from branch target injection.
inline constexpr uint64_t kEferAutomaticIbrs = uint64_t{1} << 21;

[[nodiscard]] bool read_vendor_msr(const Cpu& cpu, uint32_t index, uint64_t& value);
[[nodiscard]] bool write_vendor_msr(Cpu& cpu, uint32_t index, uint64_t value);
uint64_t microcode_revision(const Cpu& cpu);

}  // namespace banyan::interp
