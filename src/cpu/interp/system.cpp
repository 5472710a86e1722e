#include "cpu/interp/system.hpp"

namespace banyan::interp {

Handler select_system(const Decoded& decoded, Op& op) {
    for (const auto select :
         {select_segments, select_segment_queries, select_table_registers, select_far_transfers,
          select_interrupt_return, select_fast_calls, select_software_interrupts,
          select_flag_control, select_control_registers, select_debug_registers,
          select_processor_control, select_ports}) {
        if (const Handler handler = select(decoded, op)) return handler;
    }
    return nullptr;
}

}  // namespace banyan::interp
