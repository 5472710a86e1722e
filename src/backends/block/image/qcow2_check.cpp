#include "backends/block/image/qcow2_check.hpp"

#include <fmt/format.h>

#include "backends/block/image/image_error.hpp"
#include "backends/block/image/qcow2_refcounts.hpp"

namespace banyan {

using namespace qcow2;

namespace {

using Entries = std::vector<be64>;

class Qcow2Walk {
public:
    Qcow2Walk(ImageFile& file, const Qcow2Header& header, const std::string& name)
        : file_(file), header_(header), name_(name) {}

    Result<Qcow2Report> run(const Qcow2Snapshots& snapshots) {
        report_.end = header_.clusters_for(file_.size());
        report_.clusters = header_.clusters_for(header_.size);
        TRY(count("the header", 0, header_.cluster_size()));
        TRY(count_refcount_structure());
        TRY(count("the snapshot table", header_.snapshots_offset, snapshots.table_bytes));
        for (const Qcow2Snapshot& snapshot : snapshots.all)
            TRY(walk_l1(snapshot.l1_offset, snapshot.l1_entries, false));
        TRY(walk_l1(header_.l1_offset, header_.l1_entries, true));
        TRY(check_copied_flags());
        TRY(compare());
        return std::move(report_);
    }

private:
    void error(const std::string& text) {
        ++report_.errors;
        if (report_.findings.size() < Qcow2Report::kMostFindings) report_.findings.push_back(text);
    }
    // More is wrong than counts.
    void grave(const std::string& text) {
        report_.mendable = false;
        error(text);
    }

    Result<void> count(std::string_view what, uint64_t offset, uint64_t bytes) {
        if (bytes == 0) return {};
        if (offset >= file_.size()) {
            grave(fmt::format("{} at {:#x} lies beyond the end of the file", what, offset));
            return {};
        }
        const uint64_t last = header_.cluster_of(offset + bytes - 1);
        for (uint64_t cluster = header_.cluster_of(offset);
             cluster <= last && cluster < report_.end; ++cluster) {
            if (report_.counts.increase(cluster)) continue;
            return unsupported_image(name_, "it is too scattered to be checked in memory",
                                     "check it with qemu-img check");
        }
        return {};
    }

    Result<Entries> read_entries(uint64_t offset, uint64_t count) {
        Entries entries(count);
        TRY(file_.read_bytes(offset, std::as_writable_bytes(std::span(entries))));
        return entries;
    }

    Result<void> count_refcount_structure() {
        const uint64_t entries = header_.refcount_table_entries();
        TRY(count("the refcount table", header_.refcount_table_offset, entries * kEntrySize));
        TRY_ASSIGN(table, read_entries(header_.refcount_table_offset, entries));
        for (const uint64_t offset : table) {
            if (offset == 0) continue;
            if (header_.in_cluster(offset) != 0) {
                grave(
                    fmt::format("a refcount block at {:#x} does not begin with a cluster", offset));
                continue;
            }
            TRY(count("a refcount block", offset, header_.cluster_size()));
        }
        blocks_ = std::move(table);
        return {};
    }

    Result<void> walk_l1(uint64_t offset, uint64_t entries, bool active) {
        TRY(count("an L1 table", offset, entries * kEntrySize));
        TRY_ASSIGN(table, read_entries(offset, entries));
        for (const uint64_t entry : table) {
            const uint64_t l2 = entry & kOffsetMask;
            if (l2 == 0) continue;
            if (header_.in_cluster(l2) != 0 || (entry & kL1Reserved) != 0) {
                grave(fmt::format("an L1 entry {:#x} means nothing", entry));
                continue;
            }
            TRY(count("an L2 table", l2, header_.cluster_size()));
            TRY(walk_l2(l2, active));
        }
        if (active) l1_ = std::move(table);
        return {};
    }

    Result<void> walk_l2(uint64_t offset, bool active) {
        if (offset >= file_.size()) return {};
        TRY_ASSIGN(table, read_entries(offset, header_.l2_entries()));
        for (const uint64_t entry : table)
            TRY(walk_entry(entry, active));
        return {};
    }

    Result<void> walk_entry(uint64_t entry, bool active) {
        if ((entry & kCompressed) != 0) return walk_compressed(entry, active);
        const uint64_t host = entry & kOffsetMask;
        const bool zero_flag_allowed = header_.version >= 3;
        if ((entry & kL2Reserved) != 0 || header_.in_cluster(host) != 0 ||
            ((entry & kZero) != 0 && !zero_flag_allowed)) {
            grave(fmt::format("an L2 entry {:#x} means nothing", entry));
            return {};
        }
        if (host == 0) return {};
        if (active) ++report_.allocated_clusters;
        return count("a cluster", host, header_.cluster_size());
    }

    Result<void> walk_compressed(uint64_t entry, bool active) {
        if ((entry & kCopied) != 0) {
            grave(
                fmt::format("an L2 entry {:#x} is compressed and may be changed in place", entry));
        }
        if (active) ++report_.allocated_clusters;
        if (active) ++report_.compressed_clusters;
        const auto place = Qcow2Compressed::decode(entry, header_.cluster_bits);
        return count("compressed data", place.offset, place.length);
    }

    // "L1 table entry", "L2 table entry", bit 63: in use exactly once.
    Result<void> check_copied_flags() {
        for (const uint64_t entry : l1_) {
            const uint64_t l2 = entry & kOffsetMask;
            if (l2 == 0 || header_.in_cluster(l2) != 0 || l2 >= file_.size()) continue;
            check_copied_flag(entry);
            TRY_ASSIGN(table, read_entries(l2, header_.l2_entries()));
            for (const uint64_t l2_entry : table) {
                if ((l2_entry & kCompressed) == 0) check_copied_flag(l2_entry);
            }
        }
        return {};
    }

    void check_copied_flag(uint64_t entry) {
        const uint64_t host = entry & kOffsetMask;
        const bool copied = (entry & kCopied) != 0;
        if (host == 0 && !copied) return;
        const bool once = report_.counts.at(header_.cluster_of(host)) == 1;
        if (copied == once) return;
        grave(fmt::format("an entry {:#x} says wrongly whether its cluster is used {}", entry,
                          "more than once"));
    }

    Result<void> compare() {
        const uint64_t per_block = header_.refcounts_in_block();
        for (uint64_t i = 0; i < blocks_.size(); ++i) {
            const uint64_t offset = blocks_[i];
            if (offset == 0 || header_.in_cluster(offset) != 0 || offset >= file_.size()) continue;
            std::vector<std::byte> block(header_.cluster_size());
            TRY(file_.read_bytes(offset, block));
            for (uint64_t k = 0; k < per_block; ++k)
                compare_count(i * per_block + k, refcount_at(block, header_.refcount_order, k));
        }
        report_.counts.for_each([&](uint64_t cluster, uint32_t) {
            const uint64_t i = cluster / per_block;
            if (i >= blocks_.size() || blocks_[i] == 0U) compare_count(cluster, 0);
        });
        return {};
    }

    void compare_count(uint64_t cluster, uint64_t stored) {
        const uint64_t used = report_.counts.at(cluster);
        if (stored == used) return;
        if (stored > used) {
            ++report_.leaks;
        } else {
            error(fmt::format("cluster {} is used {} times and counted {}", cluster, used, stored));
        }
    }

    ImageFile& file_;
    const Qcow2Header& header_;
    const std::string& name_;
    Qcow2Report report_;
    Entries l1_;
    Entries blocks_;
};

}  // namespace

Result<Qcow2Report> check_qcow2(ImageFile& file, const Qcow2Header& header,
                                const Qcow2Snapshots& snapshots, const std::string& name) {
    if ((header.autoclear & kAutoclearBitmaps) != 0) {
        return unsupported_image(name, "it has dirty bitmaps, which are not looked through",
                                 "check it with qemu-img check");
    }
    return Qcow2Walk(file, header, name).run(snapshots);
}

}  // namespace banyan
