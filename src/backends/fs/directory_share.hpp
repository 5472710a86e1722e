// DirectoryShare: a directory of the host as a file system's back end: requests wait in a queue for
// a few threads, so that a slow file stops neither the guest nor the others.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "backends/fs/fuse_server.hpp"
#include "vm/file_share.hpp"

namespace banyan {

class DirectoryShare final : public FsBackend {
public:
    static constexpr unsigned kMostThreads = 4;

    static Result<std::unique_ptr<DirectoryShare>> open(const FuseServerConfig& config);
    ~DirectoryShare() override;  // serves all that waits

    void submit(const FsRequest& request, FsClient& client) override;
    void drain() override;
    bool mounted() const override { return server_->mounted(); }
    void reset() override { server_->reset(); }

private:
    struct Work {
        FsRequest request;
        FsClient* client;
    };

    explicit DirectoryShare(std::unique_ptr<FuseServer> server);
    bool start_one();
    void serve();

    const std::unique_ptr<FuseServer> server_;

    std::mutex mutex_;  // a leaf: no client is called under it
    std::condition_variable changed_;
    std::condition_variable drained_;
    std::deque<Work> waiting_;
    unsigned idle_ = 0;     // threads that wait
    size_t in_flight_ = 0;  // requests that are not answered yet
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

// How many descriptors a share may use when there are `shares` of them. Raises this process' own
// limit first, as far as the host lets it.
struct DescriptorShare {
    size_t open_paths;
    size_t kept_paths;
    size_t handles;
};
DescriptorShare descriptors_for_share(size_t shares);

}  // namespace banyan
