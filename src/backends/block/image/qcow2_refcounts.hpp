// Qcow2Refcounts: which clusters of an image are in use, and how often ("Host cluster management").
#pragma once

#include <atomic>
#include <deque>
#include <string>
#include <vector>

#include "backends/block/image/cluster_counts.hpp"
#include "backends/block/image/cluster_set.hpp"
#include "backends/block/image/in_flight.hpp"
#include "backends/block/image/qcow2_header.hpp"
#include "backends/block/image/qcow2_tables.hpp"

namespace banyan {

// "Refcount block entry": entry number `index` of a block.
uint64_t refcount_at(std::span<const std::byte> block, unsigned order, uint64_t index);
void set_refcount_at(std::span<std::byte> block, unsigned order, uint64_t index, uint64_t count);

struct ClusterRun {
    uint64_t first = 0;
    uint64_t count = 0;
};

// What the parts of an open image share.
struct Qcow2Shared {
    ImageFile& file;
    Qcow2Header& header;  // as on disk, once it has been written
    ClusterSet& metadata;
    // What is on disk is not known any more: nothing must be written. A barrier that failed means
    // that, for the host may have dropped writes.
    std::atomic<bool>& failed;
    const std::string& name;

    Result<void> barrier() const {
        auto result = file.flush();
        if (!result) failed = true;
        return result;
    }
};

// Reads and writes counts of all widths. Used by one thread at a time.
//
// Changes stay in memory until write_back(). A cluster that is given up keeps its count until
// release(): what is on disk may still lead to it, and requests may be under way to it.
class Qcow2Refcounts {
public:
    Qcow2Refcounts(const Qcow2Shared& shared, InFlight& in_flight);
    Result<void> open();

    Result<uint64_t> count(uint64_t cluster);

    // Clusters in a row, each with one reference: at least one, at most `most`.
    Result<ClusterRun> allocate(uint64_t most);
    // That many in a row.
    Result<uint64_t> allocate_row(uint64_t count);
    // One more reference to a cluster in use; false when the count is full.
    Result<bool> add_reference(uint64_t cluster);
    // Back from allocate(), before anything refers to them.
    Result<void> undo(const ClusterRun& run);

    // One reference less, later.
    void give_up(uint64_t cluster) { given_up_.push_back(cluster); }
    size_t given_up() const { return given_up_.size(); }
    // What is on disk does not lead any more to what was given up before that().
    void unlinked();
    // Takes what was given up out of use, as far as no request needs it. Returns what is free now.
    Result<std::vector<uint64_t>> release();

    // Blocks that are new, and then what leads to them. With a barrier in between, if there are
    // any.
    Result<void> write_new_blocks();
    // The other blocks. No barrier.
    Result<void> write_back();
    bool crowded() const { return dirty_.size() > cache_.bound() / 2; }

    // Makes the counts of all clusters below `end` what they ought to be; none is in use behind it.
    Result<void> rebuild(const ClusterCounts& wanted, uint64_t end);

private:
    using Table = Qcow2TableCache::Table;
    struct GivenUp {
        uint64_t mark;
        std::vector<uint64_t> clusters;
    };

    uint64_t per_block() const { return shared_.header.refcounts_in_block(); }
    bool has_block(uint64_t index) const { return index < table_.size() && table_[index] != 0; }
    Result<Table> block(uint64_t index);
    Result<Table> create_block(uint64_t index, uint64_t at_cluster);
    Result<void> rebuild_block(uint64_t index, const ClusterCounts& wanted, uint64_t end,
                               uint64_t& next);
    Result<Table> block_to_scan(uint64_t index);
    Result<void> grow_table(uint64_t least_entries);
    Result<void> write_grown(const ClusterRun& table, uint64_t blocks);
    Result<void> point_header_to(const ClusterRun& table);
    Result<ClusterRun> take_from(const Table& block, uint64_t start, uint64_t least, uint64_t most);
    Result<ClusterRun> find(uint64_t least, uint64_t most, uint64_t end_block);
    Result<uint64_t> row_at_end(uint64_t count);
    uint64_t first_block_at_end() const;
    Result<void> drop_reference(uint64_t cluster, std::vector<uint64_t>& freed);
    Result<void> set(uint64_t cluster, uint64_t count);
    void set_in(const Table& block, uint64_t cluster, uint64_t count);
    uint64_t count_in(const Table& block, uint64_t cluster) const;
    Result<void> check_free(uint64_t first, uint64_t count) const;

    const Qcow2Shared shared_;
    InFlight& in_flight_;
    Qcow2TableCache cache_;
    std::vector<uint64_t> table_;  // offsets of blocks; 0: none
    Qcow2DirtyTables dirty_;
    std::vector<uint64_t> new_blocks_;  // indices in table_ that are not on disk
    uint64_t hint_ = 0;                 // no cluster before this is free
    std::vector<uint64_t> given_up_;
    std::deque<GivenUp> unlinked_;
};

}  // namespace banyan
