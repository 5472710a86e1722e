// HandleTable: the files and directories that a guest has open.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "backends/fs/host_file.hpp"
#include "support/mutex.hpp"

namespace banyan {

struct OpenFile {
    OpenFile(UniqueFd descriptor, bool is_directory)
        : fd(std::move(descriptor)), directory(is_directory) {}

    const UniqueFd fd;
    const bool directory;
    Mutex position;  // of a directory; held while entries are read and looked up
};

// Stays while somebody works with it, also when the guest has closed it.
using Handle = std::shared_ptr<OpenFile>;

// From any thread.
class HandleTable {
public:
    explicit HandleTable(size_t most) : most_(most) {}

    // ENFILE when there are too many. A number is never given twice.
    FsResult<uint64_t> add(UniqueFd fd, bool directory);
    // EBADF when the guest has no such file, or directory, open.
    FsResult<Handle> find(uint64_t number, bool directory) const;
    bool remove(uint64_t number);
    void clear();

private:
    const size_t most_;
    mutable Mutex mutex_;  // a leaf
    std::unordered_map<uint64_t, Handle> handles_ GUARDED_BY(mutex_);
    uint64_t next_ GUARDED_BY(mutex_) = 1;
};

}  // namespace banyan
