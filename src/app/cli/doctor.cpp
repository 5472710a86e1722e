#include "app/cli/doctor.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "backends/block/disk_ring.hpp"
#include "host/linux/memory_limits.hpp"
#include "host/linux/tsc.hpp"
#include "vmm/engine_choice.hpp"

namespace banyan {

namespace {

struct Findings {
    std::vector<EngineReport> engines = report_engines();
    std::string automatic = choose_engine(EngineKind::automatic)->reason;
    unsigned cpus = std::thread::hardware_concurrency();
    uint64_t memory = available_memory();
    std::optional<HostTsc> tsc = find_host_tsc();
    IoUringReport io_uring = report_io_uring();
};

}  // namespace

std::string doctor_text() {
    const Findings found;
    std::string text;
    for (const EngineReport& engine : found.engines) {
        text += fmt::format("{:8} {:13} {}\n", engine.name,
                            engine.available ? "available" : "not available", engine.reason);
    }
    text += fmt::format("auto     {}\n", found.automatic);
    text += fmt::format("host     {} CPUs, {} of memory for guests\n", found.cpus,
                        readable_size(found.memory));
    if (found.tsc) {
        text += fmt::format("tsc      {:.3f} MHz ({}), used for the guest's\n",
                            static_cast<double>(found.tsc->hz) / 1e6, found.tsc->source);
    } else {
        text += "tsc      not constant on this host; the guest's counts nanoseconds\n";
    }
    text += fmt::format("{:8} {:13} {}\n", "io_uring",
                        found.io_uring.available ? "available" : "not available",
                        found.io_uring.reason);
    return text;
}

std::string doctor_json() {
    const Findings found;
    nlohmann::ordered_json json;
    for (const EngineReport& engine : found.engines) {
        json["engines"].push_back(
            {{"name", engine.name}, {"available", engine.available}, {"reason", engine.reason}});
    }
    json["auto"] = found.automatic;
    json["cpus"] = found.cpus;
    json["memory"] = found.memory;
    json["tsc_hz"] = found.tsc ? nlohmann::ordered_json(found.tsc->hz) : nlohmann::ordered_json();
    json["io_uring"] = {{"available", found.io_uring.available}, {"reason", found.io_uring.reason}};
    return json.dump(2) + "\n";
}

}  // namespace banyan
