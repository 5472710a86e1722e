#include "cpu/jit/statistics.hpp"

namespace banyan::jit {

void JitStatistics::append_to(Statistics& list) const {
    const Statistics own{{"translated_regions", regions},
                         {"translated_instructions", instructions},
                         {"translated_code_bytes", code_bytes},
                         {"invalidated_regions", dropped},
                         {"links", links},
                         {"entries", entries},
                         {"exits_for_events", exits_for_events},
                         {"exits_for_faults", exits_for_faults},
                         {"exits_for_lookups", exits_for_lookups},
                         {"exits_for_links", exits_for_links},
                         {"exits_for_stack", exits_for_stack},
                         {"exits_to_interpret", exits_to_interpret},
                         {"interpreted_instructions", interpreted}};
    list.insert(list.end(), own.begin(), own.end());
}

}  // namespace banyan::jit
