#include "backends/fs/directory_share.hpp"

#include <algorithm>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <system_error>

#include "host/posix/threads.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

// A guest's system has taken its umask off the modes that it sends; this process' own must not take
// more. It belongs to all threads that share it, so this one goes its own way.
void leave_modes_alone() {
    if (::unshare(CLONE_FS) == 0) {
        ::umask(0);
    } else {
        LOG_WARNING("share", "files are made with Banyan's own umask: %s", "unshare() is refused");
    }
}

}  // namespace

Result<std::unique_ptr<DirectoryShare>> DirectoryShare::open(const FuseServerConfig& config) {
    TRY_ASSIGN(server, FuseServer::create(config));
    auto share = std::unique_ptr<DirectoryShare>(new DirectoryShare(std::move(server)));
    const std::lock_guard lock(share->mutex_);
    if (share->start_one()) return share;
    return fail(ErrorCode::out_of_memory,
                "share a directory: this host starts no more threads; end other programs");
}

DirectoryShare::DirectoryShare(std::unique_ptr<FuseServer> server) : server_(std::move(server)) {
    threads_.reserve(kMostThreads);
}

DirectoryShare::~DirectoryShare() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
}

void DirectoryShare::submit(const FsRequest& request, FsClient& client) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back({request, &client});
        ++in_flight_;
        if (waiting_.size() > idle_ && threads_.size() < kMostThreads) (void)start_one();
    }
    changed_.notify_one();
}

// A host that has no thread left: those that are there do the work.
bool DirectoryShare::start_one() {
    try {
        threads_.push_back(start_thread(ThreadKind::share, "share", [this] { serve(); }));
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

void DirectoryShare::drain() {
    std::unique_lock lock(mutex_);
    drained_.wait(lock, [this] { return in_flight_ == 0; });
}

void DirectoryShare::serve() {
    leave_modes_alone();
    FuseScratch scratch;
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        changed_.wait(lock, [this] { return !waiting_.empty() || stopping_; });
        --idle_;
        if (waiting_.empty()) return;
        const Work work = waiting_.front();
        waiting_.pop_front();
        lock.unlock();
        const uint32_t written = server_->serve(work.request, scratch);
        work.client->on_fs_complete(work.request.cookie, written);
        lock.lock();
        if (--in_flight_ == 0) drained_.notify_all();
    }
}

DescriptorShare descriptors_for_share(size_t shares) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) limit = {1024, 1024};
    rlimit raised = limit;
    raised.rlim_cur = raised.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    // A quarter stays for everything else.
    const size_t each = static_cast<size_t>(limit.rlim_cur) / 4 * 3 / std::max<size_t>(shares, 1);
    return {.open_paths = std::clamp<size_t>(each / 4, 16, 4096),
            .kept_paths = std::clamp<size_t>(each / 4, 16, 4096),
            .handles = std::clamp<size_t>(each / 2, 32, 8192)};
}

}  // namespace banyan
