#include "app/cli/trace_choice.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "app/cli/values.hpp"

namespace banyan {

namespace {

struct Word {
    std::string_view name;
    bool TraceChoice::*chosen;
    std::string_view meaning;
};
constexpr std::array kWords{
    Word{"jit", &TraceChoice::jit,
         "what the engine does, as a line each second and a table at the end, on standard error"},
    Word{"jit-map", &TraceChoice::jit_map,
         "writes /tmp/perf-PID.map, from which perf knows translated guest code"},
    Word{"help", &TraceChoice::help, "this list"},
};

Result<void> choose(std::string_view name, TraceChoice& choice) {
    std::vector<std::string_view> names;
    for (const Word& word : kWords) {
        names.push_back(word.name);
        if (word.name != name) continue;
        choice.*word.chosen = true;
        return {};
    }
    return not_one_of("--trace", name, names);
}

}  // namespace

Result<TraceChoice> parse_traces(const std::vector<std::string>& texts) {
    TraceChoice choice;
    for (const std::string& text : texts) {
        for (size_t start = 0; start <= text.size();) {
            const size_t end = std::min(text.find(',', start), text.size());
            TRY(choose(std::string_view(text).substr(start, end - start), choice));
            start = end + 1;
        }
    }
    return choice;
}

std::string trace_help() {
    std::string text = "--trace WORD[,WORD...]\n";
    for (const Word& word : kWords)
        text += fmt::format("  {:8} {}\n", word.name, word.meaning);
    return text;
}

}  // namespace banyan
