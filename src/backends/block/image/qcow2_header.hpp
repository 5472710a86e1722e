// What the header of a qcow2 image says, checked.
#pragma once

#include <bit>
#include <optional>
#include <string>
#include <vector>

#include "backends/block/image/image_file.hpp"
#include "backends/block/image/qcow2_regs.hpp"

namespace banyan {

struct Qcow2Header {
    uint32_t version = 3;
    unsigned cluster_bits = 16;
    uint64_t size = 0;  // of the disk
    uint64_t l1_offset = 0;
    uint32_t l1_entries = 0;
    uint64_t refcount_table_offset = 0;
    uint32_t refcount_table_clusters = 0;
    uint64_t snapshots_offset = 0;
    uint32_t snapshots = 0;
    uint64_t incompatible = 0;
    uint64_t compatible = 0;
    uint64_t autoclear = 0;
    unsigned refcount_order = 4;
    uint8_t compression = qcow2::kCompressionDeflate;
    std::string backing_file;  // empty: none
    std::optional<std::string> backing_format;

    // Fails on images that this build cannot read. The tables that it names lie in the file.
    static Result<Qcow2Header> read(ImageFile& file, const std::string& name);

    uint64_t cluster_size() const { return uint64_t{1} << cluster_bits; }
    uint64_t cluster_of(uint64_t offset) const { return offset >> cluster_bits; }
    uint64_t in_cluster(uint64_t offset) const { return offset & (cluster_size() - 1); }
    uint64_t round_down(uint64_t offset) const { return offset & ~(cluster_size() - 1); }
    uint64_t round_up(uint64_t offset) const { return round_down(offset + cluster_size() - 1); }
    uint64_t clusters_for(uint64_t bytes) const { return cluster_of(round_up(bytes)); }

    uint64_t l2_entries() const { return cluster_size() / qcow2::kEntrySize; }
    uint64_t l1_index(uint64_t offset) const { return cluster_of(offset) / l2_entries(); }
    uint64_t l2_index(uint64_t offset) const { return cluster_of(offset) % l2_entries(); }
    // Of a disk of that many bytes.
    uint64_t l1_entries_for(uint64_t bytes) const {
        return (clusters_for(bytes) + l2_entries() - 1) / l2_entries();
    }

    unsigned refcount_bits() const { return 1U << refcount_order; }
    uint64_t most_references() const {
        return refcount_order == 6 ? ~uint64_t{0} : (uint64_t{1} << refcount_bits()) - 1;
    }
    uint64_t refcounts_in_block() const { return cluster_size() * 8 / refcount_bits(); }
    uint64_t refcount_table_entries() const {
        return refcount_table_clusters * l2_entries();  // both are of 8 bytes
    }

    bool lazy_refcounts() const { return (compatible & qcow2::kCompatibleLazyRefcounts) != 0; }
    bool dirty() const { return (incompatible & qcow2::kIncompatibleDirty) != 0; }
    bool corrupt() const { return (incompatible & qcow2::kIncompatibleCorrupt) != 0; }
};

// The clusters that hold the data of one compressed cluster.
struct Qcow2Compressed {
    uint64_t offset = 0;  // in bytes
    uint64_t length = 0;  // at most: up to the end of the last sector

    // "Compressed Clusters Descriptor"
    static Qcow2Compressed decode(uint64_t entry, unsigned cluster_bits);
    uint64_t encode(unsigned cluster_bits) const;
};

// "Snapshots": where the tables of one are.
struct Qcow2Snapshot {
    std::string id;
    std::string name;
    uint64_t l1_offset = 0;
    uint64_t l1_entries = 0;
};

struct Qcow2Snapshots {
    std::vector<Qcow2Snapshot> all;
    uint64_t table_bytes = 0;
};

Result<Qcow2Snapshots> read_snapshots(ImageFile& file, const Qcow2Header& header,
                                      const std::string& name);

// By the first bytes of a file.
bool looks_like_qcow2(std::span<const std::byte> bytes);

}  // namespace banyan
