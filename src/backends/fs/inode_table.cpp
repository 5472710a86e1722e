#include "backends/fs/inode_table.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace banyan {

namespace {

// Of directories in each other: more than any path can name.
constexpr size_t kDeepest = 4096;

}  // namespace

// The root is never forgotten, and its descriptor never closed.
InodeTable::InodeTable(PathFd root, const InodeIdentity& identity, const InodeLimits& limits)
    : limits_(limits) {
    Entry entry;
    entry.identity = identity;
    entry.lookups = 1;
    entry.fd = std::move(root);
    entry.kept = true;
    entries_.emplace(kRoot, std::move(entry));
    by_identity_.emplace(identity, kRoot);
}

InodeTable::Entry* InodeTable::find(Node node) {
    const auto found = entries_.find(node);
    return found == entries_.end() ? nullptr : &found->second;
}

InodeTable::Entry* InodeTable::find(const InodeIdentity& identity, Node& node) {
    const auto found = by_identity_.find(identity);
    if (found == by_identity_.end()) return nullptr;
    node = found->second;
    return find(node);
}

FsResult<PathFd> InodeTable::open(Node node) {
    std::vector<Step> steps;
    auto fd = find_start(node, steps);
    while (fd && !steps.empty()) {
        fd = open_step(*fd, steps.back());
        steps.pop_back();
    }
    return fd;
}

// The nearest directory above, or the node itself, that has a descriptor; and what is to be opened
// from there, the last step first.
FsResult<PathFd> InodeTable::find_start(Node node, std::vector<Step>& steps) {
    const MutexLock lock(mutex_);
    while (steps.size() < kDeepest) {
        Entry* entry = find(node);
        if (entry == nullptr) return fs_fail(ESTALE);
        if (entry->fd != nullptr) {
            if (!entry->kept) recent_.splice(recent_.begin(), recent_, entry->place);
            return entry->fd;
        }
        steps.push_back({node, entry->identity, entry->name});
        node = entry->parent;
    }
    return fs_fail(ESTALE);
}

FsResult<PathFd> InodeTable::open_step(const PathFd& directory, const Step& step) {
    auto fd = open_child(directory->get(), step.name.c_str());
    // Of a name that is gone, or is not what it was, the guest has to look the path up again.
    if (!fd) return fs_fail(fd.error() == ENOENT || fd.error() == ENOTDIR ? ESTALE : fd.error());
    const auto status = status_of((*fd)->get());
    if (!status) return fs_fail(status.error());
    if (identity_of(*status) != step.identity) return fs_fail(ESTALE);
    const MutexLock lock(mutex_);
    Entry* entry = find(step.node);
    if (entry != nullptr && entry->fd == nullptr) adopt(step.node, *entry, *fd);
    return fd;
}

// Closes the one that was not used for longest, where there are too many.
void InodeTable::adopt(Node node, Entry& entry, PathFd fd) {
    recent_.push_front(node);
    entry.place = recent_.begin();
    entry.fd = std::move(fd);
    if (recent_.size() > limits_.open_paths) drop_fd(*find(recent_.back()));
}

void InodeTable::drop_fd(Entry& entry) {
    if (entry.fd == nullptr) return;
    if (entry.kept) {
        --kept_;
        entry.kept = false;
    } else {
        recent_.erase(entry.place);
    }
    entry.fd = nullptr;
}

FsResult<InodeTable::Node> InodeTable::enter(const InodeIdentity& identity, Node parent,
                                             const char* name, PathFd fd) {
    const MutexLock lock(mutex_);
    if (find(parent) == nullptr) return fs_fail(ESTALE);
    Node node = 0;
    Entry* entry = find(identity, node);
    if (entry == nullptr) {
        if (entries_.size() > limits_.nodes) return fs_fail(ENFILE);
        node = next_node_++;
        entry = &entries_[node];
        entry->identity = identity;
        by_identity_.emplace(identity, node);
    }
    ++entry->lookups;
    if (node == kRoot) return node;
    place(node, *entry, parent, name);
    // It has a name again, or still.
    if (entry->kept) drop_fd(*entry);
    if (entry->fd == nullptr) adopt(node, *entry, std::move(fd));
    return node;
}

// Where it was seen last. Never below itself, which names that move on the host while their nodes
// were not looked at could come to.
void InodeTable::place(Node node, Entry& entry, Node parent, const char* name) {
    if (entry.parent != parent) {
        if (is_below(parent, node)) return;
        ++find(parent)->children;
        const Node before = std::exchange(entry.parent, parent);
        if (Entry* old_parent = find(before)) {
            --old_parent->children;
            forget_unused(before);
        }
    }
    if (entry.name != name) entry.name = name;
}

bool InodeTable::is_below(Node node, Node above) {
    for (size_t depth = 0; node != kRoot && depth < kDeepest; ++depth) {
        if (node == above) return true;
        const Entry* entry = find(node);
        if (entry == nullptr) return false;
        node = entry->parent;
    }
    return node != kRoot;
}

void InodeTable::forget(Node node, uint64_t count) {
    const MutexLock lock(mutex_);
    Entry* entry = find(node);
    if (entry == nullptr || node == kRoot) return;
    entry->lookups -= std::min(count, entry->lookups);
    forget_unused(node);
}

void InodeTable::forget_unused(Node node) {
    while (node != kRoot) {
        Entry* entry = find(node);
        if (entry == nullptr || entry->lookups != 0 || entry->children != 0) return;
        drop_fd(*entry);
        by_identity_.erase(entry->identity);
        const Node parent = entry->parent;
        entries_.erase(node);
        if (Entry* above = find(parent)) --above->children;
        node = parent;
    }
}

void InodeTable::keep(const InodeIdentity& identity, PathFd fd) {
    const MutexLock lock(mutex_);
    Node node = 0;
    Entry* entry = find(identity, node);
    if (entry == nullptr || entry->kept || kept_ >= limits_.kept_paths) return;
    drop_fd(*entry);
    entry->fd = std::move(fd);
    entry->kept = true;
    ++kept_;
}

void InodeTable::moved(const InodeIdentity& identity, Node parent, const char* name) {
    const MutexLock lock(mutex_);
    Node node = 0;
    Entry* entry = find(identity, node);
    if (entry != nullptr && node != kRoot && find(parent) != nullptr)
        place(node, *entry, parent, name);
}

void InodeTable::clear() {
    const MutexLock lock(mutex_);
    recent_.clear();
    kept_ = 0;
    Entry root = std::move(entries_.at(kRoot));
    root.children = 0;
    entries_.clear();
    by_identity_.clear();
    by_identity_.emplace(root.identity, kRoot);
    entries_.emplace(kRoot, std::move(root));
}

size_t InodeTable::size() const {
    const MutexLock lock(mutex_);
    return entries_.size();
}

size_t InodeTable::open_paths() const {
    const MutexLock lock(mutex_);
    return recent_.size() + kept_;
}

}  // namespace banyan
