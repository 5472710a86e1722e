#include "backends/fs/handle_table.hpp"

#include <utility>

namespace banyan {

FsResult<uint64_t> HandleTable::add(UniqueFd fd, bool directory) {
    auto handle = std::make_shared<OpenFile>(std::move(fd), directory);
    const MutexLock lock(mutex_);
    if (handles_.size() >= most_) return fs_fail(ENFILE);
    handles_.emplace(next_, std::move(handle));
    return next_++;
}

FsResult<Handle> HandleTable::find(uint64_t number, bool directory) const {
    const MutexLock lock(mutex_);
    const auto found = handles_.find(number);
    if (found == handles_.end() || found->second->directory != directory) return fs_fail(EBADF);
    return found->second;
}

// Closed with no lock held: a network file system may take its time.
bool HandleTable::remove(uint64_t number) {
    Handle removed;
    const MutexLock lock(mutex_);
    const auto found = handles_.find(number);
    if (found == handles_.end()) return false;
    removed = std::move(found->second);
    handles_.erase(found);
    return true;
}

void HandleTable::clear() {
    std::unordered_map<uint64_t, Handle> removed;
    const MutexLock lock(mutex_);
    removed.swap(handles_);
}

}  // namespace banyan
