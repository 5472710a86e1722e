#include "cpu/interp/cpu_vcpu.hpp"

#include "cpu/interp/code_cache.hpp"

namespace banyan::interp {

Statistics CpuVcpu::statistics() const {
    const Cpu::Counters& cpu = cpu_.counters;
    const CodeCache::Statistics& code = cpu_.code->statistics();
    return {{"interrupts", cpu.interrupts},
            {"exceptions", cpu.exceptions},
            {"slow_memory_accesses", cpu.slow_accesses},
            {"tlb_fills", cpu.tlb_fills},
            {"tlb_flushes", cpu.flushes},
            {"tlb_local_flushes", cpu.local_flushes},
            {"tlb_page_flushes", cpu.page_flushes},
            {"block_lookups", code.lookups},
            {"decoded_blocks", code.blocks},
            {"decoded_instructions", code.instructions},
            {"invalidated_blocks", code.invalidated},
            {"code_clears", code.clears}};
}

}  // namespace banyan::interp
