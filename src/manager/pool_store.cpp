#include "manager/pool_store.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "host/linux/data_directory.hpp"
#include "host/posix/host_error.hpp"
#include "manager/resource_json.hpp"

namespace banyan {

namespace {

constexpr const char* kPoolsFile = "pools.json";

tl::unexpected<Error> damaged(const RunDirectory& directory) {
    return fail(ErrorCode::invalid_data,
                fmt::format("read the pools: {} in {} is damaged; repair or remove it", kPoolsFile,
                            quote_name(directory.path())));
}

}  // namespace

bool is_pool_name(const std::string& name) {
    constexpr size_t kLongest = 64;
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (name.empty() || name.size() > kLongest || !is_plain(name[0])) return false;
    return std::all_of(name.begin(), name.end(),
                       [&](char c) { return is_plain(c) || c == '-' || c == '_' || c == '.'; });
}

Result<PoolStore> PoolStore::open() {
    TRY_ASSIGN(directory, open_data_directory("pools"));
    return PoolStore(std::move(directory));
}

Result<PoolStore> PoolStore::open_at(const std::string& path) {
    TRY_ASSIGN(directory, open_data_directory_at(path));
    return PoolStore(std::move(directory));
}

Result<std::vector<Pool>> PoolStore::pools() const {
    const auto text = directory_.read(kPoolsFile);
    if (!text) return in_order({});
    const auto json = ResourceJson::parse(*text, nullptr, false);
    if (!json.is_object() || !json.contains("pools") || !json["pools"].is_array())
        return damaged(directory_);
    std::vector<Pool> pools;
    for (const ResourceJson& one : json["pools"]) {
        auto pool = pool_from(one);
        if (!pool || !is_pool_name(pool->name)) return damaged(directory_);
        pools.push_back(std::move(*pool));
    }
    return in_order(std::move(pools));
}

Result<void> PoolStore::update(
    const std::function<Result<void>(std::vector<Pool>&)>& change) const {
    TRY_ASSIGN(lock, directory_.lock());
    TRY_ASSIGN(all, pools());
    TRY(change(all));
    ResourceJson json{{"pools", ResourceJson::array()}};
    for (const Pool& pool : all)
        json["pools"].push_back(json_of(pool));
    return directory_.write(kPoolsFile, json.dump(2) + "\n");
}

Result<Pool> find_pool(const std::vector<Pool>& pools, const std::string& name,
                       std::string_view what) {
    for (const Pool& pool : pools) {
        if (pool.name == name) return pool;
    }
    return fail(ErrorCode::not_found,
                fmt::format("{} {}: there is no pool of that name; make it with banyan pool "
                            "create, or see banyan pool list",
                            what, quote_name(name)));
}

}  // namespace banyan
