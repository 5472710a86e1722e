// InodeTable: what a guest knows of the files of a share.
//
// A file that the guest has looked up has a node: a number, the file's identity, and where it was
// seen last, by its directory's node and its name. The descriptor that names it is kept only for
// those that were used last; a file whose descriptor was closed is opened again by its name, and
// must then still be the same. So a tree of any size needs few descriptors, and whatever happens to
// names on the host meanwhile, a node never comes to mean another file: it gives ESTALE.
//
// Files that the guest has removed have no name to be opened by: theirs are kept, up to a bound.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

#include "backends/fs/host_file.hpp"
#include "support/mutex.hpp"

namespace banyan {

struct InodeLimits {
    size_t nodes = 1'000'000;  // about 250 bytes each
    size_t open_paths = 1024;  // descriptors of those that were used last
    size_t kept_paths = 512;   // descriptors of removed files
};

// From any thread.
class InodeTable {
public:
    using Node = uint64_t;
    static constexpr Node kRoot = 1;  // FUSE_ROOT_ID

    InodeTable(PathFd root, const InodeIdentity& identity, const InodeLimits& limits);
    InodeTable(const InodeTable&) = delete;
    InodeTable& operator=(const InodeTable&) = delete;

    // ESTALE for a node that is not known, or whose file is not where it was.
    FsResult<PathFd> open(Node node);

    // Counts a look-up of a file that was found there, and gives its node. ENFILE when there are
    // too many.
    FsResult<Node> enter(const InodeIdentity& identity, Node parent, const char* name, PathFd fd);
    // Takes look-ups back; without any, and without nodes below it, a node is forgotten.
    void forget(Node node, uint64_t count);

    // The file is about to lose its name.
    void keep(const InodeIdentity& identity, PathFd fd);
    // The file has got another name.
    void moved(const InodeIdentity& identity, Node parent, const char* name);

    // Back to the root alone.
    void clear();

    size_t size() const;
    size_t open_paths() const;

private:
    struct Entry {
        InodeIdentity identity;
        Node parent = 0;
        std::string name;
        uint64_t lookups = 0;
        uint64_t children = 0;  // nodes whose parent this is
        PathFd fd;              // null: open it by its name
        bool kept = false;
        std::list<Node>::iterator
            place;  // in recent_, of one that has a descriptor and is not kept
    };
    using Entries = std::unordered_map<Node, Entry>;

    // A node that has to be opened by its name.
    struct Step {
        Node node;
        InodeIdentity identity;
        std::string name;
    };

    FsResult<PathFd> find_start(Node node, std::vector<Step>& steps);
    FsResult<PathFd> open_step(const PathFd& directory, const Step& step);
    Entry* find(Node node) REQUIRES(mutex_);
    Entry* find(const InodeIdentity& identity, Node& node) REQUIRES(mutex_);
    void adopt(Node node, Entry& entry, PathFd fd) REQUIRES(mutex_);
    void unkeep(Entry& entry) REQUIRES(mutex_);
    void drop_fd(Entry& entry) REQUIRES(mutex_);
    void place(Node node, Entry& entry, Node parent, const char* name) REQUIRES(mutex_);
    bool is_below(Node node, Node above) REQUIRES(mutex_);
    void forget_unused(Node node) REQUIRES(mutex_);

    const InodeLimits limits_;
    mutable Mutex mutex_;  // a leaf: no file is opened under it
    Entries entries_ GUARDED_BY(mutex_);
    std::unordered_map<InodeIdentity, Node, InodeIdentityHash> by_identity_ GUARDED_BY(mutex_);
    std::list<Node> recent_ GUARDED_BY(mutex_);  // with a descriptor, the last used first
    size_t kept_ GUARDED_BY(mutex_) = 0;
    Node next_node_ GUARDED_BY(mutex_) = kRoot + 1;  // never given twice
};

}  // namespace banyan
