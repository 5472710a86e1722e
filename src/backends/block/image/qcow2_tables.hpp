// Clusters of a qcow2 image that hold tables, in memory.
#pragma once

#include <list>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "backends/block/image/image_file.hpp"
#include "support/mutex.hpp"

namespace banyan {

// One cluster of metadata. One thread at a time changes it; others may read entries meanwhile.
class Qcow2Table {
public:
    Qcow2Table(uint64_t offset, uint64_t size) : offset_(offset), words_(size / 8) {}

    uint64_t offset() const { return offset_; }
    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(words_)); }

    // Entries of 8 bytes. Who sees an entry also sees what was written before it was set.
    uint64_t entry(uint64_t index) const;
    void set_entry(uint64_t index, uint64_t value);

    void mark_dirty(uint64_t at, uint64_t length);
    bool dirty() const { return dirty_; }
    // The sectors that were changed.
    Result<void> write_back(ImageFile& file);

    // A table that is not linked is not yet in use on disk: writing it harms nobody.
    bool linked() const { return linked_; }
    void set_linked(bool linked) { linked_ = linked; }

private:
    const uint64_t offset_;
    std::vector<uint64_t> words_;  // as on disk: big-endian
    bool dirty_ = false;
    bool linked_ = true;
    uint64_t dirty_start_ = 0;
    uint64_t dirty_end_ = 0;
};

// Keeps the tables used last, up to a bound. Tables that somebody holds stay beyond it, so that
// there is never more than one of a cluster.
class Qcow2TableCache {
public:
    using Table = std::shared_ptr<Qcow2Table>;

    Qcow2TableCache(ImageFile& file, uint64_t cluster_size, uint64_t bound_bytes);

    // From any thread.
    Result<Table> get(uint64_t offset);
    // Null: it would have to be read.
    Table find(uint64_t offset);
    // Of zeroes, all dirty, not linked: in place of what the file has there.
    Table create(uint64_t offset);
    // The cluster is no table any more. Nobody holds it.
    void drop(uint64_t offset);

    size_t bound() const { return bound_; }

private:
    using Order = std::list<Table>;

    Table find_locked(uint64_t offset) REQUIRES(mutex_);
    void insert(const Table& table) REQUIRES(mutex_);
    void make_room() REQUIRES(mutex_);

    ImageFile& file_;
    const uint64_t cluster_size_;
    const size_t bound_;  // tables
    Mutex mutex_;
    Order order_ GUARDED_BY(mutex_);  // the last used first
    std::unordered_map<uint64_t, Order::iterator> places_ GUARDED_BY(mutex_);
};

// Tables that were changed since the last settle(). Holds them, so that the cache keeps them.
class Qcow2DirtyTables {
public:
    void add(const Qcow2TableCache::Table& table) { tables_.insert(table); }
    size_t size() const { return tables_.size(); }

    // Writes those for which that is true.
    template <class Which>
    Result<void> write_back(ImageFile& file, Which which) const {
        for (const auto& table : tables_) {
            if (which(*table)) TRY(table->write_back(file));
        }
        return {};
    }
    // All have been written, and what links them.
    void settle() {
        for (const auto& table : tables_)
            table->set_linked(true);
        tables_.clear();
    }

private:
    struct ByPlace {
        bool operator()(const Qcow2TableCache::Table& a, const Qcow2TableCache::Table& b) const {
            return a->offset() < b->offset();
        }
    };
    std::set<Qcow2TableCache::Table, ByPlace> tables_;  // so that they are written in order
};

}  // namespace banyan
