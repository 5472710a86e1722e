// Qcow2Mapping: where the data of a disk lies in its image ("Cluster mapping").
#pragma once

#include <memory>
#include <optional>

#include "backends/block/image/qcow2_refcounts.hpp"

namespace banyan {

enum class ExtentKind : uint8_t { absent, zero, data, compressed };

// A part of the disk whose clusters are alike, and follow each other in the image.
struct Qcow2Extent {
    ExtentKind kind = ExtentKind::absent;
    bool copied = false;      // in use only here: may be changed in place
    uint64_t host = 0;        // where it is in the image; of zero perhaps a cluster kept for it
    uint64_t length = 0;      // bytes of the disk; compressed: within one cluster
    uint64_t compressed = 0;  // its entry

    bool in_place() const { return kind == ExtentKind::data && copied; }
};

class Qcow2Mapping {
public:
    using Table = Qcow2TableCache::Table;

    Qcow2Mapping(const Qcow2Shared& shared, Qcow2Refcounts& refcounts);
    Result<void> open();

    // From any thread. From `offset` on, at most `length`, which is not 0.
    Result<Qcow2Extent> map(uint64_t offset, uint64_t length);
    // The same without reading the image; nothing if that takes it, or if the mapping is wrong.
    std::optional<Qcow2Extent> map_from_cache(uint64_t offset, uint64_t length);

    // By one thread at a time. Changes stay in memory until they are written.
    Result<Table> table_to_change(uint64_t offset);
    // The cluster at `offset` has another entry from now on; what its old one led to is given up.
    Result<void> set_entry(const Table& table, uint64_t offset, uint64_t entry);
    Result<void> grow(uint64_t entries);

    bool dirty() const { return l1_->dirty() || dirty_.size() != 0; }
    bool crowded() const { return dirty_.size() > cache_.bound() / 2; }
    // What is not in use on disk yet.
    Result<void> write_new_tables();
    // All else, which leads to clusters that must be on disk before.
    Result<void> write_back();

    void forget(uint64_t cluster) { cache_.drop(cluster << shared_.header.cluster_bits); }

private:
    Result<void> check_l1() const;
    uint64_t table_of(uint64_t offset) const;
    uint64_t length_in_table(uint64_t offset, uint64_t length) const;
    Result<Qcow2Extent> map_in(const Qcow2Table& table, uint64_t offset, uint64_t length) const;
    Result<Qcow2Extent> decode(uint64_t entry) const;
    Result<Qcow2Extent> decode_compressed(uint64_t entry) const;
    bool continues(const Qcow2Extent& extent, const Qcow2Extent& next) const;
    void give_up(const Qcow2Extent& extent);
    tl::unexpected<Error> bad_entry(std::string_view why) const;
    static std::unique_ptr<Qcow2Table> make_l1(uint64_t offset, uint64_t entries);
    Result<void> point_header_to(uint64_t offset, uint64_t entries);

    const Qcow2Shared shared_;
    Qcow2Refcounts& refcounts_;
    Qcow2TableCache cache_;
    std::unique_ptr<Qcow2Table> l1_;
    Qcow2DirtyTables dirty_;
};

}  // namespace banyan
