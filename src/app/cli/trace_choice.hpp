// What `--trace` asks for.
#pragma once

#include <string>
#include <vector>

#include "support/result.hpp"

namespace banyan {

struct TraceChoice {
    bool help = false;
    bool jit = false;
    bool jit_map = false;
};

// Each text is a list of words with commas between them.
Result<TraceChoice> parse_traces(const std::vector<std::string>& texts);
// The words, and what each shows.
std::string trace_help();

}  // namespace banyan
