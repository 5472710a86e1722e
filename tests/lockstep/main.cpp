// lockstep: random programs on two engines.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

#include "lockstep/listing.hpp"
#include "lockstep/lockstep.hpp"
#include "lockstep/stream_generator.hpp"

namespace banyan::lockstep {

namespace {

constexpr uint64_t kFixedSeeds[] = {1, 2, 3, 5, 8};

struct Options {
    uint64_t cases = 60;   // of each seed
    uint64_t seconds = 0;  // no limit
    std::vector<uint64_t> seeds;
    std::optional<uint64_t> number;
    uint64_t disturbed = 4;  // every so many cases; 0: none
    uint64_t parts = StreamGenerator::kMaxParts;
    uint64_t reports = 5;
    std::vector<const EngineEntry*> engines;  // to compare with the first
    bool verbose = false;
};

struct Totals {
    uint64_t programs = 0;
    uint64_t failed = 0;
    uint64_t endless = 0;
    uint64_t stops = 0;
    uint64_t exceptions = 0;
    uint64_t instructions = 0;
};

unsigned long long number(uint64_t value) {
    return value;
}

class Runner {
public:
    explicit Runner(const Options& options) : options_(options) {}

    int run();

private:
    void run_seed(uint64_t seed);
    void run_case(StreamGenerator& generator, uint64_t seed, uint64_t case_number);
    void run_on(const EngineEntry& engine, const Program& program, Mode mode);
    void add(const EngineEntry& engine, const Program& program, const Comparison& comparison);
    void print_shortest(const EngineEntry& engine, const Program& program);
    bool time_is_up() const {
        return options_.seconds != 0 &&
               std::chrono::steady_clock::now() - start_ > std::chrono::seconds(options_.seconds);
    }

    const Options& options_;
    Totals totals_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void Runner::add(const EngineEntry& engine, const Program& program, const Comparison& comparison) {
    totals_.stops += comparison.stops;
    totals_.exceptions += comparison.exceptions;
    totals_.instructions += comparison.instructions;
    if (comparison.endless) ++totals_.endless;
    if (comparison.equal && !options_.verbose) return;
    if (!comparison.equal) ++totals_.failed;
    if (totals_.failed > options_.reports) return;
    std::printf("lockstep --engine %s --seed %llu --case %llu --verbose: %s\n%s%s",
                std::string(engine.name).c_str(), number(program.seed), number(program.number),
                comparison.equal ? "agrees" : "differs", comparison.report.c_str(),
                comparison.log.c_str());
    if (!comparison.equal) print_shortest(engine, program);
}

// The same program with fewer parts shows where it begins to differ.
void Runner::print_shortest(const EngineEntry& engine, const Program& program) {
    StreamGenerator generator(program.seed);
    for (uint64_t parts = 1; parts < StreamGenerator::kMaxParts; ++parts) {
        const Program shorter = generator.make(program.number, parts);
        const Comparison comparison = compare_engines(engines().front(), engine, shorter);
        if (comparison.equal) continue;
        std::printf("  with %llu parts of it (--parts):\n%s", number(parts),
                    comparison.report.c_str());
        return;
    }
}

void Runner::run_on(const EngineEntry& engine, const Program& program, Mode mode) {
    ++totals_.programs;
    const RunOptions options{.mode = mode, .keep_log = options_.verbose};
    add(engine, program, compare_engines(engines().front(), engine, program, options));
}

void Runner::run_case(StreamGenerator& generator, uint64_t seed, uint64_t case_number) {
    const Program program = generator.make(case_number, options_.parts);
    if (options_.verbose) {
        std::printf("seed %llu case %llu, CPL %d%s\n%s", number(seed), number(case_number),
                    program.settings.supervisor ? 0 : 3, program.settings.smap ? ", SMAP" : "",
                    list_code(program).c_str());
    }
    for (const EngineEntry* engine : options_.engines) {
        run_on(*engine, program, Mode::exact);
        if (options_.disturbed != 0 && case_number % options_.disturbed == 0)
            run_on(*engine, program, Mode::disturbed);
    }
}

void Runner::run_seed(uint64_t seed) {
    StreamGenerator generator(seed);
    if (options_.number) {
        run_case(generator, seed, *options_.number);
        return;
    }
    for (uint64_t i = 0; i < options_.cases && !time_is_up(); ++i)
        run_case(generator, seed, i);
}

int Runner::run() {
    for (const uint64_t seed : options_.seeds) {
        if (time_is_up()) break;
        run_seed(seed);
        std::fflush(stdout);
    }
    std::printf("lockstep: %llu runs of seeds", number(totals_.programs));
    for (const uint64_t seed : options_.seeds)
        std::printf(" %llu", number(seed));
    std::printf("; %llu stops, %llu exceptions, %llu instructions; %llu differ, %llu endless\n",
                number(totals_.stops), number(totals_.exceptions), number(totals_.instructions),
                number(totals_.failed), number(totals_.endless));
    return totals_.failed == 0 && totals_.programs != 0 ? 0 : 1;
}

bool parse_one(std::string_view name, const char* text, Options& options) {
    const uint64_t value = std::strtoull(text, nullptr, 0);
    if (name == "--cases")
        options.cases = value;
    else if (name == "--seconds")
        options.seconds = value;
    else if (name == "--seed")
        options.seeds.push_back(value);
    else if (name == "--case")
        options.number = value;
    else if (name == "--disturbed")
        options.disturbed = value;
    else if (name == "--parts")
        options.parts = value;
    else if (name == "--reports")
        options.reports = value;
    else if (name == "--engine" && find_engine(text) != nullptr)
        options.engines.push_back(find_engine(text));
    else
        return false;
    return true;
}

// Without --seed: the fixed ones, and one from the clock.
void complete(Options& options) {
    if (options.seeds.empty()) {
        options.seeds.assign(std::begin(kFixedSeeds), std::end(kFixedSeeds));
        options.seeds.push_back(static_cast<uint64_t>(
            std::chrono::system_clock::now().time_since_epoch().count() / 1000));
    }
    if (options.engines.empty()) {
        for (const EngineEntry& engine : engines())
            options.engines.push_back(&engine);
    }
}

bool parse(int argc, char** argv, Options& options) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--verbose") {
            options.verbose = true;
        } else if (i + 1 == argc || !parse_one(name, argv[++i], options)) {
            return false;
        }
    }
    complete(options);
    return true;
}

}  // namespace

}  // namespace banyan::lockstep

int main(int argc, char** argv) {
    using namespace banyan::lockstep;
    Options options;
    if (!parse(argc, argv, options)) {
        std::fprintf(
            stderr,
            "usage: lockstep [--cases N] [--seconds N] [--seed S]... [--case NUMBER] [--parts N] "
            "[--engine NAME]... [--disturbed EVERY] [--reports N] [--verbose]\nengines:");
        for (const EngineEntry& engine : engines())
            std::fprintf(stderr, " %s", std::string(engine.name).c_str());
        std::fprintf(stderr, "\n");
        return 2;
    }
    return Runner(options).run();
}
