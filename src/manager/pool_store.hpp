// PoolStore: the pools of one user, in one file of the data directory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/linux/run_directory.hpp"
#include "resources/plan.hpp"

namespace banyan {

// 1 to 64 characters: letters, digits and - _ .; the first none of these three.
bool is_pool_name(const std::string& name);

class PoolStore {
public:
    // `pools/pools.json` in the data directory.
    static Result<PoolStore> open();
    static Result<PoolStore> open_at(const std::string& path);

    // All, each after its parent, the root first; there is always one. Fails with
    // ErrorCode::invalid_data when the file is damaged.
    Result<std::vector<Pool>> pools() const;
    // Changes all at once, while nobody else does. When `change` fails nothing is changed.
    Result<void> update(const std::function<Result<void>(std::vector<Pool>&)>& change) const;

private:
    explicit PoolStore(RunDirectory directory) : directory_(std::move(directory)) {}

    RunDirectory directory_;
};

// By name. Fails with ErrorCode::not_found; `what` begins the message.
Result<Pool> find_pool(const std::vector<Pool>& pools, const std::string& name,
                       std::string_view what);

}  // namespace banyan
