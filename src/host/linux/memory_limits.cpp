#include "host/linux/memory_limits.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <limits>
#include <sys/resource.h>

namespace banyan {

namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

std::string read_text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<uint64_t> parse_number(std::string_view text) {
    const size_t start = text.find_first_not_of(" \t");
    if (start == std::string_view::npos) return std::nullopt;
    uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(text.data() + start, text.data() + text.size(), value);
    if (error != std::errc{}) return std::nullopt;
    return value;
}

// Calls `use` with each line, without its end.
template <class Use>
void for_each_line(std::string_view text, Use use) {
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        use(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

struct Limit {
    uint64_t left = kUnlimited;
    std::string whose;
};

void tighten(Limit& limit, uint64_t left, std::string_view whose) {
    if (left >= limit.left) return;
    limit.left = left;
    limit.whose = whose;
}

void apply_host_memory(Limit& limit) {
    const std::string meminfo = read_text("/proc/meminfo");
    const auto available = meminfo_bytes(meminfo, "MemAvailable");
    if (!available) return;
    tighten(limit, *available + meminfo_bytes(meminfo, "SwapFree").value_or(0), "the host");
}

// A limit less what is in use; page cache of files gives way.
void apply_cgroup_directory(Limit& limit, const std::string& directory, bool unified) {
    const auto maximum =
        parse_number(read_text(directory + (unified ? "/memory.max" : "/memory.limit_in_bytes")));
    const auto used = parse_number(
        read_text(directory + (unified ? "/memory.current" : "/memory.usage_in_bytes")));
    if (!maximum || !used) return;
    uint64_t cache = 0;
    for_each_line(read_text(directory + "/memory.stat"), [&](std::string_view line) {
        constexpr std::string_view kName = "inactive_file ";
        if (line.starts_with(kName)) cache = parse_number(line.substr(kName.size())).value_or(0);
    });
    const uint64_t kept = *used - std::min(*used, cache);
    tighten(limit, *maximum - std::min(*maximum, kept), "the control group of this process");
}

// Each group up to the root has its say.
void apply_cgroups(Limit& limit) {
    const auto group = memory_cgroup(read_text("/proc/self/cgroup"));
    if (!group) return;
    const std::string mount = group->unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    std::string path = group->path;
    for (;;) {
        apply_cgroup_directory(limit, mount + path, group->unified);
        const size_t slash = path.rfind('/');
        if (slash == std::string::npos) return;
        path.resize(slash);
    }
}

void apply_resource_limit(Limit& limit, int resource, uint64_t used, std::string_view whose) {
    rlimit value{};
    if (::getrlimit(static_cast<__rlimit_resource>(resource), &value) != 0 ||
        value.rlim_cur == RLIM_INFINITY)
        return;
    tighten(limit, value.rlim_cur - std::min<uint64_t>(value.rlim_cur, used), whose);
}

uint64_t address_space_in_use() {
    return meminfo_bytes(read_text("/proc/self/status"), "VmSize").value_or(0);
}

Limit tightest_limit() {
    Limit limit;
    apply_host_memory(limit);
    apply_cgroups(limit);
    apply_resource_limit(limit, RLIMIT_AS, address_space_in_use(),
                         "the address space limit (ulimit -v)");
    apply_resource_limit(limit, RLIMIT_FSIZE, 0, "the file size limit (ulimit -f)");
    return limit;
}

}  // namespace

std::optional<uint64_t> meminfo_bytes(std::string_view meminfo, std::string_view name) {
    std::optional<uint64_t> found;
    for_each_line(meminfo, [&](std::string_view line) {
        if (!line.starts_with(name) || line.substr(name.size(), 1) != ":") return;
        const auto kib = parse_number(line.substr(name.size() + 1));
        if (kib && *kib <= kUnlimited / 1024) found = *kib * 1024;
    });
    return found;
}

std::optional<CgroupPath> memory_cgroup(std::string_view proc_self_cgroup) {
    std::optional<CgroupPath> found;
    for_each_line(
        proc_self_cgroup, [&](std::string_view line) {  // hierarchy:controllers:path, cgroups(7)
            const size_t first = line.find(':');
            const size_t second = line.find(':', first + 1);
            if (first == std::string_view::npos || second == std::string_view::npos) return;
            const std::string_view controllers = line.substr(first + 1, second - first - 1);
            std::string path(line.substr(second + 1));
            if (path == "/") path.clear();
            if (controllers == "memory") found = CgroupPath{std::move(path), false};
            if (controllers.empty() && !found) found = CgroupPath{std::move(path), true};
        });
    return found;
}

uint64_t available_memory() {
    return tightest_limit().left;
}

Result<void> check_memory_available(uint64_t size) {
    const Limit limit = tightest_limit();
    if (size <= limit.left) return {};
    return fail(
        ErrorCode::out_of_memory,
        fmt::format(
            "give the guest {} of memory: {} leaves {}; give a smaller --memory or free some",
            readable_size(size), limit.whose, readable_size(limit.left)));
}

std::string readable_size(uint64_t bytes) {
    constexpr uint64_t kMib = 1ULL << 20;
    constexpr uint64_t kGib = 1ULL << 30;
    if (bytes >= kGib && bytes % kGib == 0) return fmt::format("{} GiB", bytes / kGib);
    if (bytes >= kGib)
        return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / static_cast<double>(kGib));
    if (bytes >= kMib || bytes == 0) return fmt::format("{} MiB", bytes / kMib);
    return fmt::format("{} bytes", bytes);
}

}  // namespace banyan
