#include "backends/block/image/qcow2_tables.hpp"

#include <atomic>

#include "backends/block/image/qcow2_regs.hpp"

namespace banyan {

namespace {

constexpr uint64_t kLeastTables = 8;
constexpr int kTries = 4;

}  // namespace

uint64_t Qcow2Table::entry(uint64_t index) const {
    // SAFETY: atomic_ref wants a reference to what may be changed; a load changes nothing.
    auto& word = const_cast<uint64_t&>(words_[index]);
    return swap_bytes(std::atomic_ref(word).load(std::memory_order_acquire));
}

void Qcow2Table::set_entry(uint64_t index, uint64_t value) {
    std::atomic_ref(words_[index]).store(swap_bytes(value), std::memory_order_release);
    mark_dirty(index * sizeof(uint64_t), sizeof(uint64_t));
}

void Qcow2Table::mark_dirty(uint64_t at, uint64_t length) {
    dirty_start_ = dirty_ ? std::min(dirty_start_, at) : at;
    dirty_end_ = dirty_ ? std::max(dirty_end_, at + length) : at + length;
    dirty_ = true;
}

Result<void> Qcow2Table::write_back(ImageFile& file) {
    if (!dirty_) return {};
    const uint64_t start = dirty_start_ / qcow2::kSector * qcow2::kSector;
    const uint64_t end = (dirty_end_ + qcow2::kSector - 1) / qcow2::kSector * qcow2::kSector;
    TRY(file.write_bytes(offset_ + start, bytes().subspan(start, end - start)));
    dirty_ = false;
    return {};
}

Qcow2TableCache::Qcow2TableCache(ImageFile& file, uint64_t cluster_size, uint64_t bound_bytes)
    : file_(file),
      cluster_size_(cluster_size),
      bound_(std::max(kLeastTables, bound_bytes / cluster_size)) {}

Qcow2TableCache::Table Qcow2TableCache::find(uint64_t offset) {
    const MutexLock lock(mutex_);
    return find_locked(offset);
}

Qcow2TableCache::Table Qcow2TableCache::find_locked(uint64_t offset) {
    const auto place = places_.find(offset);
    if (place == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, place->second);
    return *place->second;
}

// A table that is not there is read with the lock held: others wait, and find it then.
Result<Qcow2TableCache::Table> Qcow2TableCache::get(uint64_t offset) {
    const MutexLock lock(mutex_);
    if (Table found = find_locked(offset)) return found;
    auto table = std::make_shared<Qcow2Table>(offset, cluster_size_);
    TRY(file_.read_bytes(offset, table->bytes()));
    insert(table);
    return table;
}

Qcow2TableCache::Table Qcow2TableCache::create(uint64_t offset) {
    auto table = std::make_shared<Qcow2Table>(offset, cluster_size_);
    table->mark_dirty(0, cluster_size_);
    table->set_linked(false);
    const MutexLock lock(mutex_);
    insert(table);
    return table;
}

void Qcow2TableCache::drop(uint64_t offset) {
    const MutexLock lock(mutex_);
    const auto place = places_.find(offset);
    if (place == places_.end()) return;
    order_.erase(place->second);
    places_.erase(place);
}

void Qcow2TableCache::insert(const Table& table) {
    make_room();
    order_.push_front(table);
    places_[table->offset()] = order_.begin();
}

// A table that is held counts as used just now: those behind it get their turn next time.
void Qcow2TableCache::make_room() {
    for (int tries = 0; tries < kTries && order_.size() >= bound_; ++tries) {
        const auto last = std::prev(order_.end());
        if (last->use_count() > 1) {
            order_.splice(order_.begin(), order_, last);
        } else {
            places_.erase((*last)->offset());
            order_.erase(last);
        }
    }
}

}  // namespace banyan
