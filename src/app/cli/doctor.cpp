#include "app/cli/doctor.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "backends/block/disk_ring.hpp"
#include "backends/net/libslirp.hpp"
#include "backends/net/passt.hpp"
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
    bool libslirp = LibSlirp::get() != nullptr;
    std::string passt = find_passt();
};

std::string nat_reason(const Findings& found) {
    std::string text = found.libslirp
                           ? "libslirp, the default: its ports change while a VM runs"
                           : "no network: install the package libslirp0, or use --net passt";
    if (found.passt.empty()) return text + "; --net passt needs the package passt";
    return text + "; --net passt is here: " + found.passt;
}

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
    text += fmt::format("{:8} {:13} {}\n", "nat", found.libslirp ? "available" : "not available",
                        nat_reason(found));
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
    json["nat"] = {{"available", found.libslirp}, {"reason", nat_reason(found)}};
    json["passt"] = {{"available", !found.passt.empty()}, {"program", found.passt}};
    return json.dump(2) + "\n";
}

}  // namespace banyan
