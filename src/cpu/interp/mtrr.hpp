// Memory type range registers: stored and checked, without effect on RAM that is all write-back.
// Source: Intel SDM vol. 3 section 12.11.
#pragma once

#include <cstdint>

namespace banyan::interp {

class Cpu;

bool is_mtrr(uint32_t index);
[[nodiscard]] bool read_mtrr(const Cpu& cpu, uint32_t index, uint64_t& value);
[[nodiscard]] bool write_mtrr(Cpu& cpu, uint32_t index, uint64_t value);

}  // namespace banyan::interp
