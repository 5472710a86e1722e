#include "lockstep/lockstep.hpp"

#include "lockstep/comparison.hpp"
#include "lockstep/listing.hpp"
#include "lockstep/machine.hpp"

namespace banyan::lockstep {

namespace {

constexpr uint64_t kExceptionsToShow = 4;
constexpr uint64_t kMaxStops = 1000;
constexpr uint64_t kInterruptedRip = 40;  // below the stack's top

std::string name_of(StopKind kind) {
    switch (kind) {
        case StopKind::checkpoint: return "checkpoint";
        case StopKind::end: return "end";
        case StopKind::out_of_time: return "out of time";
        case StopKind::shutdown: return "shutdown";
        case StopKind::internal_error: return "internal error";
    }
    return "?";
}

uint64_t read(std::span<const std::byte> ram, uint64_t gpa) {
    uint64_t value;
    std::memcpy(&value, &ram[gpa], sizeof(value));
    return value;
}

// Where the program was when it stopped.
uint64_t program_rip(const Machine& machine, const Stop& stop) {
    if (stop.kind == StopKind::out_of_time) return stop.state.rip;
    return read(machine.ram(), kCheckpointStack - kInterruptedRip);
}

std::string describe(const EngineEntry& engine, const Program& program, const Machine& machine,
                     const Stop& stop) {
    const uint64_t rip = program_rip(machine, stop);
    char place[80];
    std::snprintf(place, sizeof(place), ", rip %llx, program at %llx\n",
                  static_cast<unsigned long long>(stop.state.rip),
                  static_cast<unsigned long long>(rip));
    return "  " + std::string(engine.name) + ": " + name_of(stop.kind) + " " + stop.text + place +
           list_exceptions(machine.ram(), kExceptionsToShow) + list_code(program, rip);
}

class Pair {
public:
    Pair(const EngineEntry& first, const EngineEntry& second, const Program& program,
         const RunOptions& options)
        : entries_{&first, &second},
          program_(program),
          options_(options),
          a_(first, program, options.cpu_model),
          b_(second, program, options.cpu_model) {}

    Comparison run() {
        if (options_.mode == Mode::disturbed) {
            run_disturbed();
        } else {
            run_exact();
        }
        result_.instructions = a_.instructions();
        result_.exceptions = read(a_.ram(), kPerCpu + kPerCpuExceptions);
        if (options_.keep_log) result_.log = list_exceptions(a_.ram(), result_.exceptions);
        return result_;
    }

private:
    // False: there is no next stop.
    bool compare(const Stop& a, const Stop& b) {
        ++result_.stops;
        const bool out_of_time = a.kind == StopKind::out_of_time && b.kind == StopKind::out_of_time;
        if (out_of_time || result_.stops == kMaxStops) {
            result_.endless = true;
            return false;
        }
        std::string differences;
        if (a.kind != b.kind) {
            differences = "    stop: " + name_of(a.kind) + ", " + name_of(b.kind) + "\n";
        }
        differences += compare_states(a.state, b.state);
        differences += compare_memory(a_.ram(), b_.ram());
        differences += compare_ports(a_.ports(), b_.ports());
        if (differences.empty()) return a.kind == StopKind::checkpoint;
        result_.equal = false;
        result_.report = "  stop " + std::to_string(result_.stops) + " differs (" +
                         std::string(entries_[0]->name) + ", " + std::string(entries_[1]->name) +
                         "):\n" + differences + describe(*entries_[0], program_, a_, a) +
                         describe(*entries_[1], program_, b_, b);
        return false;
    }

    void run_exact() {
        while (compare(a_.run(options_.time), b_.run(options_.time))) {
            a_.wake();
            b_.wake();
        }
    }

    void run_disturbed() {
        Stop a = a_.run(options_.time);
        while (a.kind == StopKind::checkpoint) {
            a_.wake();
            a = a_.run(options_.time);
        }
        compare(a, b_.run_disturbed(options_.time, Random(program_.seed, ~program_.number)));
    }

    const EngineEntry* entries_[2];
    const Program& program_;
    const RunOptions& options_;
    Machine a_;
    Machine b_;
    Comparison result_;
};

}  // namespace

Comparison compare_engines(const EngineEntry& first, const EngineEntry& second,
                           const Program& program, const RunOptions& options) {
    return Pair(first, second, program, options).run();
}

}  // namespace banyan::lockstep
