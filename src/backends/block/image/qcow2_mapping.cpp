#include "backends/block/image/qcow2_mapping.hpp"

#include <fmt/format.h>

#include "backends/block/image/image_error.hpp"

namespace banyan {

using namespace qcow2;

namespace {

// Of a disk of 128 GiB with clusters of 64 KiB, all tables.
constexpr uint64_t kMappingCacheBytes = 16U << 20;

}  // namespace

Qcow2Mapping::Qcow2Mapping(const Qcow2Shared& shared, Qcow2Refcounts& refcounts)
    : shared_(shared),
      refcounts_(refcounts),
      cache_(shared.file, shared.header.cluster_size(), kMappingCacheBytes) {}

Result<void> Qcow2Mapping::open() {
    const Qcow2Header& header = shared_.header;
    l1_ = make_l1(header.l1_offset, header.l1_entries);
    TRY(shared_.file.read_bytes(header.l1_offset, l1_->bytes()));
    return check_l1();
}

// Whole sectors, as they are written.
std::unique_ptr<Qcow2Table> Qcow2Mapping::make_l1(uint64_t offset, uint64_t entries) {
    const uint64_t sectors = (entries * kEntrySize + kSector - 1) / kSector;
    return std::make_unique<Qcow2Table>(offset, sectors * kSector);
}

// "L1 table entry"
Result<void> Qcow2Mapping::check_l1() const {
    const Qcow2Header& header = shared_.header;
    std::vector<uint64_t> clusters;
    for (uint64_t i = 0; i < header.l1_entries; ++i) {
        const uint64_t entry = l1_->entry(i);
        const uint64_t offset = entry & kOffsetMask;
        if ((entry & kL1Reserved) != 0) return bad_entry("an L1 entry has bits that mean nothing");
        if (offset == 0 && entry != 0) return bad_entry("an L1 entry leads to the header");
        if (offset == 0) continue;
        if (header.in_cluster(offset) != 0 || offset > shared_.file.size() ||
            header.cluster_size() > shared_.file.size() - offset) {
            return bad_entry("an L2 table lies where there can be none");
        }
        clusters.push_back(header.cluster_of(offset));
    }
    if (shared_.metadata.add_all(clusters)) return {};
    return bad_entry("an L2 table lies in another table");
}

tl::unexpected<Error> Qcow2Mapping::bad_entry(std::string_view why) const {
    return malformed(shared_.name, why);
}

// Where the L2 table is that tells of `offset`; 0: there is none.
uint64_t Qcow2Mapping::table_of(uint64_t offset) const {
    return l1_->entry(shared_.header.l1_index(offset)) & kOffsetMask;
}

uint64_t Qcow2Mapping::length_in_table(uint64_t offset, uint64_t length) const {
    const Qcow2Header& header = shared_.header;
    const uint64_t clusters = header.l2_entries() - header.l2_index(offset);
    return std::min(length, (clusters << header.cluster_bits) - header.in_cluster(offset));
}

Result<Qcow2Extent> Qcow2Mapping::map(uint64_t offset, uint64_t length) {
    length = length_in_table(offset, length);
    const uint64_t l2_offset = table_of(offset);
    if (l2_offset == 0) return Qcow2Extent{.length = length};
    TRY_ASSIGN(table, cache_.get(l2_offset));
    return map_in(*table, offset, length);
}

std::optional<Qcow2Extent> Qcow2Mapping::map_from_cache(uint64_t offset, uint64_t length) {
    length = length_in_table(offset, length);
    const uint64_t l2_offset = table_of(offset);
    if (l2_offset == 0) return Qcow2Extent{.length = length};
    const Table table = cache_.find(l2_offset);
    if (table == nullptr) return std::nullopt;
    const auto extent = map_in(*table, offset, length);
    return extent ? std::optional(*extent) : std::nullopt;
}

Result<Qcow2Extent> Qcow2Mapping::map_in(const Qcow2Table& table, uint64_t offset,
                                         uint64_t length) const {
    const Qcow2Header& header = shared_.header;
    const uint64_t index = header.l2_index(offset);
    TRY_ASSIGN(extent, decode(table.entry(index)));
    extent.length = header.cluster_size() - header.in_cluster(offset);
    for (uint64_t next = index + 1; extent.length < length; ++next) {
        const auto more = decode(table.entry(next));
        if (!more || !continues(extent, *more)) break;
        extent.length += header.cluster_size();
    }
    extent.length = std::min(extent.length, length);
    if (extent.kind == ExtentKind::data) extent.host += header.in_cluster(offset);
    return extent;
}

// `extent` begins with a cluster, and ends with one.
bool Qcow2Mapping::continues(const Qcow2Extent& extent, const Qcow2Extent& next) const {
    if (next.kind != extent.kind || next.copied != extent.copied) return false;
    if (extent.kind == ExtentKind::compressed) return false;
    if (extent.host == 0 || next.host == 0) return extent.host == next.host;
    return next.host == extent.host + shared_.header.round_up(extent.length);
}

// "Standard Cluster Descriptor"
Result<Qcow2Extent> Qcow2Mapping::decode(uint64_t entry) const {
    if ((entry & kCompressed) != 0) return decode_compressed(entry);
    const uint64_t host = entry & kOffsetMask;
    const bool copied = (entry & kCopied) != 0;
    const bool zero = (entry & kZero) != 0;
    if ((entry & kL2Reserved) != 0) return bad_entry("an L2 entry has bits that mean nothing");
    if (zero && shared_.header.version < 3) {
        return bad_entry("an L2 entry has a flag that came with version 3");
    }
    if (shared_.header.in_cluster(host) != 0) {
        return bad_entry("an L2 entry leads into the middle of a cluster");
    }
    if (host == 0 && copied) return bad_entry("an L2 entry leads to the header");
    if (zero) return Qcow2Extent{.kind = ExtentKind::zero, .copied = copied, .host = host};
    if (host == 0) return Qcow2Extent{};
    return Qcow2Extent{.kind = ExtentKind::data, .copied = copied, .host = host};
}

Result<Qcow2Extent> Qcow2Mapping::decode_compressed(uint64_t entry) const {
    const auto place = Qcow2Compressed::decode(entry, shared_.header.cluster_bits);
    if ((entry & kCopied) != 0 || place.offset < shared_.header.cluster_size() ||
        place.offset >= shared_.file.size()) {
        return bad_entry("compressed data lie where there can be none");
    }
    return Qcow2Extent{.kind = ExtentKind::compressed, .host = place.offset, .compressed = entry};
}

// A table that a snapshot needs, too, is copied.
Result<Qcow2Mapping::Table> Qcow2Mapping::table_to_change(uint64_t offset) {
    const Qcow2Header& header = shared_.header;
    const uint64_t index = header.l1_index(offset);
    const uint64_t entry = l1_->entry(index);
    const uint64_t old_offset = entry & kOffsetMask;
    if ((entry & kCopied) != 0) return cache_.get(old_offset);

    Table old;
    if (old_offset != 0) {
        TRY_ASSIGN(found, cache_.get(old_offset));
        old = std::move(found);
    }
    TRY_ASSIGN(run, refcounts_.allocate(1));
    const Table table = cache_.create(run.first << header.cluster_bits);
    if (old != nullptr) {
        std::memcpy(table->bytes().data(), old->bytes().data(), header.cluster_size());
        shared_.metadata.remove(header.cluster_of(old_offset), 1);
        refcounts_.give_up(header.cluster_of(old_offset));
    }
    shared_.metadata.add(run.first, 1);
    dirty_.add(table);
    l1_->set_entry(index, table->offset() | kCopied);
    return table;
}

Result<void> Qcow2Mapping::set_entry(const Table& table, uint64_t offset, uint64_t entry) {
    const uint64_t index = shared_.header.l2_index(offset);
    TRY_ASSIGN(old, decode(table->entry(index)));
    table->set_entry(index, entry);
    dirty_.add(table);
    if (old.kind == ExtentKind::compressed || old.host != (entry & kOffsetMask)) {
        give_up(old);
    }
    return {};
}

void Qcow2Mapping::give_up(const Qcow2Extent& extent) {
    if (extent.host == 0) return;
    const Qcow2Header& header = shared_.header;
    uint64_t last = extent.host;
    if (extent.kind == ExtentKind::compressed) {
        last += Qcow2Compressed::decode(extent.compressed, header.cluster_bits).length - 1;
    }
    for (uint64_t c = header.cluster_of(extent.host); c <= header.cluster_of(last); ++c)
        refcounts_.give_up(c);
}

Result<void> Qcow2Mapping::write_new_tables() {
    return dirty_.write_back(shared_.file, [](const Qcow2Table& table) { return !table.linked(); });
}

Result<void> Qcow2Mapping::write_back() {
    TRY(dirty_.write_back(shared_.file, [](const Qcow2Table&) { return true; }));
    TRY(l1_->write_back(shared_.file));
    dirty_.settle();
    return {};
}

// The new L1 table is written before the header leads to it. All else has been written.
Result<void> Qcow2Mapping::grow(uint64_t entries) {
    Qcow2Header& header = shared_.header;
    const ClusterRun old{header.cluster_of(header.l1_offset),
                         header.clusters_for(header.l1_entries * kEntrySize)};
    const uint64_t clusters = header.clusters_for(entries * kEntrySize);
    TRY_ASSIGN(first, refcounts_.allocate_row(clusters));
    // All that the table's clusters have room for.
    auto table =
        std::make_unique<Qcow2Table>(first << header.cluster_bits, clusters << header.cluster_bits);
    for (uint64_t i = 0; i < header.l1_entries; ++i)
        table->set_entry(i, l1_->entry(i));
    table->mark_dirty(0, clusters << header.cluster_bits);
    TRY(refcounts_.write_new_blocks());
    TRY(refcounts_.write_back());
    TRY(table->write_back(shared_.file));
    TRY(shared_.barrier());
    TRY(point_header_to(table->offset(), entries));
    l1_ = std::move(table);
    shared_.metadata.add(first, clusters);
    shared_.metadata.remove(old.first, old.count);
    for (uint64_t i = 0; i < old.count; ++i)
        refcounts_.give_up(old.first + i);
    return {};
}

// Both fields lie in one sector, so that a power cut leaves both old or both new.
Result<void> Qcow2Mapping::point_header_to(uint64_t offset, uint64_t entries) {
    struct {
        be32 entries;
        be64 offset;
    } fields{static_cast<uint32_t>(entries), offset};
    static_assert(sizeof(fields) == 12 &&
                  offsetof(Header, l1_table_offset) == offsetof(Header, l1_size) + sizeof(be32));
    TRY(shared_.file.write_bytes(offsetof(Header, l1_size),
                                 std::as_writable_bytes(std::span(&fields, 1))));
    TRY(shared_.barrier());
    shared_.header.l1_entries = fields.entries;
    shared_.header.l1_offset = fields.offset;
    return {};
}

}  // namespace banyan
