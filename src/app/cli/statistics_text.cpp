#include "app/cli/statistics_text.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace banyan {

namespace {

constexpr std::string_view kInstructions = "instructions";

double per_million(uint64_t count, uint64_t instructions) {
    return static_cast<double>(count) * 1e6 /
           static_cast<double>(std::max<uint64_t>(instructions, 1));
}

std::string spaced(std::string_view name) {
    std::string text(name);
    std::replace(text.begin(), text.end(), '_', ' ');
    return text;
}

// How much of each there was between two states.
class Change {
public:
    Change(const Statistics& before, const Statistics& after) : before_(before), after_(after) {}

    uint64_t of(std::string_view name) const {
        return value_of(after_, name) - value_of(before_, name);
    }
    std::string rate(std::string_view name) const {
        return fmt::format("{:.3g}", per_million(of(name), of(kInstructions)));
    }

private:
    const Statistics& before_;
    const Statistics& after_;
};

std::string exit_rates(const Change& change) {
    constexpr std::array kCauses{"exits_for_events", "exits_for_faults", "exits_for_lookups",
                                 "exits_for_links",  "exits_for_stack",  "exits_to_interpret"};
    constexpr std::array kWords{"event", "fault", "lookup", "link", "stack", "interpret"};
    std::string text;
    for (size_t i = 0; i < kCauses.size(); ++i)
        text += fmt::format("{}{} {}", i == 0 ? "" : ", ", kWords[i], change.rate(kCauses[i]));
    return text;
}

}  // namespace

uint64_t value_of(const Statistics& statistics, std::string_view name) {
    for (const Statistic& one : statistics) {
        if (one.name == name) return one.value;
    }
    return 0;
}

Statistics sum_of(const std::vector<Statistics>& vcpus) {
    if (vcpus.empty()) return {};
    Statistics sum = vcpus.front();
    for (Statistic& one : sum) {
        one.value = 0;
        for (const Statistics& vcpu : vcpus)
            one.value += value_of(vcpu, one.name);
    }
    return sum;
}

std::vector<std::string> statistics_table(const Statistics& statistics) {
    const uint64_t instructions = value_of(statistics, kInstructions);
    std::vector<std::string> lines{
        fmt::format("{:26} {:>20} {:>24}", "", "count", "per million instructions")};
    for (const Statistic& one : statistics) {
        const std::string rate =
            one.name == kInstructions
                ? ""
                : fmt::format(" {:>24.2f}", per_million(one.value, instructions));
        lines.push_back(fmt::format("{:26} {:>20}{}", spaced(one.name), one.value, rate));
    }
    return lines;
}

std::string statistics_line(const Statistics& before, const Statistics& after, double seconds) {
    const Change change(before, after);
    return fmt::format(
        "{:.1f} M instructions/s; translated {} regions, {} KiB; per million instructions: "
        "exits {} ({}), interpreted {}, TLB fills {}, decoded blocks {}, invalidated blocks {}",
        static_cast<double>(change.of(kInstructions)) / 1e6 / std::max(seconds, 1e-3),
        change.of("translated_regions"), change.of("translated_code_bytes") / 1024,
        change.rate("entries"), exit_rates(change), change.rate("interpreted_instructions"),
        change.rate("tlb_fills"), change.rate("decoded_blocks"), change.rate("invalidated_blocks"));
}

}  // namespace banyan
