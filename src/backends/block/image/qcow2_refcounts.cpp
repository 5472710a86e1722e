#include "backends/block/image/qcow2_refcounts.hpp"

#include <fmt/format.h>

#include "backends/block/image/image_error.hpp"

namespace banyan {

using namespace qcow2;

namespace {

constexpr uint64_t kRefcountCacheBytes = 4U << 20;

// Counts of 8 bits and more are big-endian numbers.
template <class T>
uint64_t wide_count(std::span<const std::byte> block, uint64_t index) {
    Be<T> count;
    std::memcpy(&count, &block[index * sizeof(T)], sizeof(T));
    return count;
}

template <class T>
void set_wide_count(std::span<std::byte> block, uint64_t index, uint64_t count) {
    const Be<T> stored = static_cast<T>(count);
    std::memcpy(&block[index * sizeof(T)], &stored, sizeof(T));
}

// Smaller ones share a byte; the first has the least significant bits.
struct NarrowCount {
    uint64_t byte;
    unsigned shift;
    unsigned mask;

    NarrowCount(unsigned order, uint64_t index)
        : byte(index >> (3 - order)),
          shift(static_cast<unsigned>(index & ((1U << (3 - order)) - 1)) << order),
          mask((1U << (1U << order)) - 1) {}
};

}  // namespace

uint64_t refcount_at(std::span<const std::byte> block, unsigned order, uint64_t index) {
    switch (order) {
        case 3: return std::to_integer<uint64_t>(block[index]);
        case 4: return wide_count<uint16_t>(block, index);
        case 5: return wide_count<uint32_t>(block, index);
        case 6: return wide_count<uint64_t>(block, index);
        default: break;
    }
    const NarrowCount place(order, index);
    return (std::to_integer<unsigned>(block[place.byte]) >> place.shift) & place.mask;
}

void set_refcount_at(std::span<std::byte> block, unsigned order, uint64_t index, uint64_t count) {
    switch (order) {
        case 3: block[index] = static_cast<std::byte>(count); return;
        case 4: return set_wide_count<uint16_t>(block, index, count);
        case 5: return set_wide_count<uint32_t>(block, index, count);
        case 6: return set_wide_count<uint64_t>(block, index, count);
        default: break;
    }
    const NarrowCount place(order, index);
    const unsigned others =
        std::to_integer<unsigned>(block[place.byte]) & ~(place.mask << place.shift);
    block[place.byte] =
        static_cast<std::byte>(others | static_cast<unsigned>(count) << place.shift);
}

Qcow2Refcounts::Qcow2Refcounts(const Qcow2Shared& shared, InFlight& in_flight)
    : shared_(shared),
      in_flight_(in_flight),
      cache_(shared.file, shared.header.cluster_size(), kRefcountCacheBytes) {}

// "Refcount table entry"
Result<void> Qcow2Refcounts::open() {
    const Qcow2Header& header = shared_.header;
    std::vector<be64> raw(header.refcount_table_entries());
    TRY(shared_.file.read_bytes(header.refcount_table_offset,
                                std::as_writable_bytes(std::span(raw))));
    table_.assign(raw.begin(), raw.end());
    std::vector<uint64_t> clusters;
    for (const uint64_t offset : table_) {
        if (offset == 0) continue;
        clusters.push_back(header.cluster_of(offset));
        if (header.in_cluster(offset) != 0 || offset > shared_.file.size() ||
            header.cluster_size() > shared_.file.size() - offset) {
            return malformed(shared_.name, "a refcount block lies where there can be none");
        }
    }
    if (shared_.metadata.add_all(clusters)) return {};
    return malformed(shared_.name, "a refcount block lies in another table");
}

Result<Qcow2Refcounts::Table> Qcow2Refcounts::block(uint64_t index) {
    return cache_.get(table_[index]);
}

uint64_t Qcow2Refcounts::count_in(const Table& block, uint64_t cluster) const {
    return refcount_at(block->bytes(), shared_.header.refcount_order, cluster % per_block());
}

void Qcow2Refcounts::set_in(const Table& block, uint64_t cluster, uint64_t count) {
    const uint64_t index = cluster % per_block();
    const unsigned order = shared_.header.refcount_order;
    set_refcount_at(block->bytes(), order, index, count);
    const uint64_t bits = uint64_t{1} << order;
    block->mark_dirty(index * bits / 8, std::max<uint64_t>(bits / 8, 1));
    dirty_.add(block);
}

Result<uint64_t> Qcow2Refcounts::count(uint64_t cluster) {
    if (!has_block(cluster / per_block())) return 0;
    TRY_ASSIGN(table, block(cluster / per_block()));
    return count_in(table, cluster);
}

Result<void> Qcow2Refcounts::set(uint64_t cluster, uint64_t count) {
    TRY_ASSIGN(table, block(cluster / per_block()));
    set_in(table, cluster, count);
    return {};
}

// The counts of an image that is not whole may call a table free: it must not be written over.
Result<void> Qcow2Refcounts::check_free(uint64_t first, uint64_t count) const {
    if (first == 0 || shared_.metadata.meets(first, count)) {
        return malformed(shared_.name, "its reference counts call a table free");
    }
    if (first + count > kMostHostOffset >> shared_.header.cluster_bits) {
        return fail(
            ErrorCode::io,
            fmt::format("{}: it is as large as it can be; use larger clusters", shared_.name));
    }
    return {};
}

Result<Qcow2Refcounts::Table> Qcow2Refcounts::create_block(uint64_t index, uint64_t at_cluster) {
    TRY(check_free(at_cluster, 1));
    const uint64_t offset = at_cluster << shared_.header.cluster_bits;
    const Table table = cache_.create(offset);
    dirty_.add(table);
    table_[index] = offset;
    new_blocks_.push_back(index);
    shared_.metadata.add(at_cluster, 1);
    return table;
}

// A block that is missing takes the first cluster that it tells of: without a block, all of them
// are free.
Result<Qcow2Refcounts::Table> Qcow2Refcounts::block_to_scan(uint64_t index) {
    if (index >= table_.size()) TRY(grow_table(index + 1));
    if (table_[index] != 0) return block(index);
    TRY_ASSIGN(table, create_block(index, index * per_block()));
    set_in(table, index * per_block(), 1);
    return table;
}

// Claims the first free clusters of the block from `start` on, if there are `least` in a row.
Result<ClusterRun> Qcow2Refcounts::take_from(const Table& block, uint64_t start, uint64_t least,
                                             uint64_t most) {
    const uint64_t end = (start / per_block() + 1) * per_block();
    ClusterRun run{start, 0};
    for (uint64_t cluster = start; cluster < end && run.count < most; ++cluster) {
        if (count_in(block, cluster) == 0) {
            ++run.count;
        } else if (run.count >= least) {
            break;
        } else {
            run = {cluster + 1, 0};
        }
    }
    if (run.count < least) return ClusterRun{};
    TRY(check_free(run.first, run.count));
    for (uint64_t i = 0; i < run.count; ++i)
        set_in(block, run.first + i, 1);
    return run;
}

Result<ClusterRun> Qcow2Refcounts::find(uint64_t least, uint64_t most, uint64_t end_block) {
    for (uint64_t at = hint_; at / per_block() < end_block;) {
        TRY_ASSIGN(table, block_to_scan(at / per_block()));
        TRY_ASSIGN(run, take_from(table, at, least, most));
        if (run.count != 0) return run;
        at = (at / per_block() + 1) * per_block();
        if (least == 1) hint_ = at;
    }
    return ClusterRun{};
}

Result<ClusterRun> Qcow2Refcounts::allocate(uint64_t most) {
    constexpr uint64_t kEverywhere = ~uint64_t{0};
    TRY_ASSIGN(run, find(1, most, kEverywhere));
    hint_ = run.first + run.count;
    return run;
}

Result<uint64_t> Qcow2Refcounts::allocate_row(uint64_t count) {
    const uint64_t end_block = first_block_at_end();
    if (count < per_block()) {
        // One block more than there are: the new one holds it surely, behind itself.
        TRY_ASSIGN(run, find(count, count, end_block + 1));
        if (run.count != 0) return run.first;
    }
    return row_at_end(count);
}

// From this block on, nothing is in use and no block exists.
uint64_t Qcow2Refcounts::first_block_at_end() const {
    uint64_t index = table_.size();
    while (index > 0 && table_[index - 1] == 0)
        --index;
    return index;
}

// A row that no single block can tell of: behind all that is in use, after the blocks for it.
Result<uint64_t> Qcow2Refcounts::row_at_end(uint64_t count) {
    const uint64_t blocks = (count + per_block() - 2) / (per_block() - 1);
    // To grow the table moves the end, for the table and its blocks come there; but it grows by
    // more.
    while (first_block_at_end() + blocks > table_.size())
        TRY(grow_table(first_block_at_end() + 2 * blocks));
    const uint64_t start = first_block_at_end() * per_block();
    for (uint64_t i = 0; i < blocks; ++i)
        TRY(create_block(start / per_block() + i, start + i));
    for (uint64_t i = 0; i < blocks + count; ++i)
        TRY(set(start + i, 1));
    return start + blocks;
}

Result<bool> Qcow2Refcounts::add_reference(uint64_t cluster) {
    TRY_ASSIGN(now, count(cluster));
    if (now == 0 || now >= shared_.header.most_references()) return false;
    TRY(set(cluster, now + 1));
    return true;
}

Result<void> Qcow2Refcounts::undo(const ClusterRun& run) {
    for (uint64_t i = 0; i < run.count; ++i)
        TRY(set(run.first + i, 0));
    hint_ = std::min(hint_, run.first);
    return {};
}

void Qcow2Refcounts::unlinked() {
    if (given_up_.empty()) return;
    unlinked_.push_back({in_flight_.mark(), std::move(given_up_)});
    given_up_.clear();
}

Result<std::vector<uint64_t>> Qcow2Refcounts::release() {
    std::vector<uint64_t> freed;
    while (!unlinked_.empty() && in_flight_.passed(unlinked_.front().mark)) {
        for (const uint64_t cluster : unlinked_.front().clusters)
            TRY(drop_reference(cluster, freed));
        unlinked_.pop_front();
    }
    std::sort(freed.begin(), freed.end());
    return freed;
}

Result<void> Qcow2Refcounts::drop_reference(uint64_t cluster, std::vector<uint64_t>& freed) {
    TRY_ASSIGN(now, count(cluster));
    if (now == 0) return malformed(shared_.name, "a cluster in use is not counted");
    TRY(set(cluster, now - 1));
    if (now > 1) return {};
    hint_ = std::min(hint_, cluster);
    freed.push_back(cluster);
    return {};
}

// Data before what refers to it: blocks, a barrier, the entries of the table.
Result<void> Qcow2Refcounts::write_new_blocks() {
    if (new_blocks_.empty()) return {};
    TRY(dirty_.write_back(shared_.file, [](const Qcow2Table& t) { return !t.linked(); }));
    TRY(shared_.barrier());
    for (const uint64_t index : new_blocks_) {
        be64 entry = table_[index];
        TRY(shared_.file.write_bytes(shared_.header.refcount_table_offset + index * sizeof(entry),
                                     std::as_writable_bytes(std::span(&entry, 1))));
    }
    new_blocks_.clear();
    return {};
}

Result<void> Qcow2Refcounts::write_back() {
    TRY(dirty_.write_back(shared_.file, [](const Qcow2Table&) { return true; }));
    dirty_.settle();
    return {};
}

// The new table and the blocks that tell of it come behind all that is in use:
//   start: the table | blocks that tell of the table and of themselves
Result<void> Qcow2Refcounts::grow_table(uint64_t least_entries) {
    const Qcow2Header& header = shared_.header;
    const uint64_t in_file = header.clusters_for(shared_.file.size());
    const uint64_t start_block =
        std::max<uint64_t>(table_.size(), (in_file + per_block() - 1) / per_block());
    // A half more, so that it is not done often; the loop ends since a block tells of more
    // clusters than one.
    uint64_t entries = std::max(least_entries, table_.size() * 3 / 2);
    uint64_t blocks = 1;
    ClusterRun table{start_block * per_block(), 0};
    for (;;) {
        table.count = header.clusters_for(entries * kEntrySize);
        const uint64_t needed = (table.count + blocks + per_block() - 1) / per_block();
        if (needed <= blocks && start_block + blocks < entries) break;
        blocks = std::max(blocks, needed);
        entries = std::max(entries, start_block + blocks + 1);
    }
    if (table.count << header.cluster_bits > kMostRefcountTableBytes) {
        return fail(
            ErrorCode::io,
            fmt::format("{}: it is as large as it can be; use larger clusters", shared_.name));
    }
    // On disk, the old table must say all that the new one says.
    TRY(write_new_blocks());
    auto grown = write_grown(table, blocks);
    // What was made for the new table would go behind the end of the old one.
    if (!grown) shared_.failed = true;
    return grown;
}

Result<void> Qcow2Refcounts::write_grown(const ClusterRun& table, uint64_t blocks) {
    const unsigned bits = shared_.header.cluster_bits;
    TRY(check_free(table.first, table.count + blocks));
    const ClusterRun old{shared_.header.cluster_of(shared_.header.refcount_table_offset),
                         shared_.header.refcount_table_clusters};
    table_.resize((table.count << bits) / kEntrySize);
    const uint64_t first_block = table.first / per_block();
    for (uint64_t i = 0; i < blocks; ++i)
        TRY(create_block(first_block + i, table.first + table.count + i));
    for (uint64_t i = 0; i < table.count + blocks; ++i)
        TRY(set(table.first + i, 1));
    shared_.metadata.add(table.first, table.count);

    std::vector<be64> raw(table_.begin(), table_.end());
    TRY(shared_.file.write_bytes(table.first << bits, std::as_writable_bytes(std::span(raw))));
    TRY(dirty_.write_back(shared_.file, [](const Qcow2Table& t) { return !t.linked(); }));
    TRY(shared_.barrier());
    TRY(point_header_to(table));
    new_blocks_.clear();
    shared_.metadata.remove(old.first, old.count);
    for (uint64_t i = 0; i < old.count; ++i)
        give_up(old.first + i);
    return {};
}

// Both fields lie in one sector, so that a power cut leaves both old or both new.
Result<void> Qcow2Refcounts::point_header_to(const ClusterRun& table) {
    Qcow2Header& header = shared_.header;
    struct {
        be64 offset;
        be32 clusters;
    } fields{table.first << header.cluster_bits, static_cast<uint32_t>(table.count)};
    static_assert(sizeof(fields) == 12);
    TRY(shared_.file.write_bytes(offsetof(Header, refcount_table_offset),
                                 std::as_writable_bytes(std::span(&fields, 1))));
    TRY(shared_.barrier());
    header.refcount_table_offset = fields.offset;
    header.refcount_table_clusters = fields.clusters;
    return {};
}

Result<void> Qcow2Refcounts::rebuild(const ClusterCounts& wanted, uint64_t end) {
    if (end / per_block() + 2 > table_.size()) {
        return unsupported_image(
            shared_.name, "it was not closed, and its refcount table is too short to mend it",
            "mend it with qemu-img check -r all");
    }
    // New blocks come behind everything; those are in use, too, and are told of last.
    uint64_t next = end;
    for (uint64_t index = 0; index * per_block() < next; ++index)
        TRY(rebuild_block(index, wanted, end, next));
    hint_ = 0;
    return {};
}

Result<void> Qcow2Refcounts::rebuild_block(uint64_t index, const ClusterCounts& wanted,
                                           uint64_t end, uint64_t& next) {
    const uint64_t first = index * per_block();
    const auto count_of = [&](uint64_t cluster) -> uint64_t {
        if (cluster < end) return wanted.at(cluster);
        return cluster < next ? 1 : 0;
    };
    if (!has_block(index)) {
        bool needed = false;
        for (uint64_t i = 0; i < per_block() && !needed; ++i)
            needed = count_of(first + i) != 0;
        if (!needed) return {};
        TRY(create_block(index, next++));
    }
    for (uint64_t i = 0; i < per_block(); ++i)
        TRY(set(first + i, count_of(first + i)));
    return {};
}

}  // namespace banyan
