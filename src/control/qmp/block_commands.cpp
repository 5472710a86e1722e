// Commands that ask for facts of the VM's disks (QEMU's qapi/block-core.json).
#include "control/qmp/server.hpp"

namespace banyan::qmp {

namespace {

// Without an "iops" or "bps" of its own, QEMU says 0.
void add_limits(Json& json, const DiskLimits& limits) {
    const auto add = [&](const std::string& name, const std::array<DiskRate, 3>& rates) {
        json[name] = rates[DiskLimits::all].per_second;
        json[name + "_rd"] = rates[DiskLimits::reads].per_second;
        json[name + "_wr"] = rates[DiskLimits::writes].per_second;
    };
    add("bps", limits.bytes);
    add("iops", limits.requests);
}

Json inserted_of(const DiskFacts& disk) {
    Json json{
        {"file", disk.file},
        {"ro", disk.read_only},
        {"drv", disk.format},
        {"encrypted", false},
        {"cache",
         {{"writeback", true},
          {"direct", disk.cache == DiskCache::none},
          {"no-flush", disk.cache == DiskCache::unsafe}}},
        {"image", {{"filename", disk.file}, {"format", disk.format}, {"virtual-size", disk.size}}}};
    add_limits(json, disk.limits);
    return json;
}

Json stats_of(const DiskCounts& counts) {
    return {{"rd_bytes", counts.reads.bytes},
            {"wr_bytes", counts.writes.bytes},
            {"unmap_bytes", counts.discards.bytes},
            {"rd_operations", counts.reads.done},
            {"wr_operations", counts.writes.done},
            {"flush_operations", counts.flushes.done},
            {"unmap_operations", counts.discards.done},
            {"failed_rd_operations", counts.reads.failed},
            {"failed_wr_operations", counts.writes.failed},
            {"failed_flush_operations", counts.flushes.failed},
            {"failed_unmap_operations", counts.discards.failed}};
}

template <class Describe>
Json list_of(const std::vector<DiskFacts>& disks, Describe describe) {
    Json list = Json::array();
    for (const DiskFacts& disk : disks)
        list.push_back(describe(disk));
    return list;
}

}  // namespace

void add_block_commands(Commands& commands, const VmApi& vm) {
    commands.add({.name = "query-block", .run = [&vm](const Arguments&) -> Answer {
                      return list_of(vm.disks(), [](const DiskFacts& disk) -> Json {
                          return {{"device", disk.name},
                                  {"type", "unknown"},
                                  {"removable", disk.removable},
                                  {"locked", false},
                                  {"inserted", inserted_of(disk)}};
                      });
                  }});
    commands.add({.name = "query-blockstats", .run = [&vm](const Arguments&) -> Answer {
                      return list_of(vm.disks(), [](const DiskFacts& disk) -> Json {
                          return {{"device", disk.name}, {"stats", stats_of(disk.counts)}};
                      });
                  }});
}

}  // namespace banyan::qmp
