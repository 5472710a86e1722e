#include "host/linux/cpu_cgroup.hpp"

#include <algorithm>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include "host/posix/host_error.hpp"
#include "host/posix/unique_fd.hpp"

namespace banyan {

namespace {

constexpr std::string_view kCpuRemedy =
    "use --cpu-control throttle, or let this user have a control group (systemd: Delegate=yes)";
constexpr std::string_view kGroupOfOurs = "/banyan";
constexpr std::string_view kVmPrefix = "vm-";

std::string content_of(const std::string& path) {
    std::stringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
}

bool has_word(std::string_view list, std::string_view word, char separator) {
    while (!list.empty()) {
        const size_t end = std::min(list.find(separator), list.size());
        if (list.substr(0, end) == word) return true;
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return false;
}

bool offers_cpu(const std::string& file) {
    std::string controllers = content_of(file);
    std::replace(controllers.begin(), controllers.end(), '\n', ' ');
    return has_word(controllers, "cpu", ' ');
}

Result<void> write_control(const std::string& path, const std::string& text) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const bool written = file.valid() && retry_interrupted([&] {
                                             return ::write(file.get(), text.data(), text.size());
                                         }) == static_cast<ssize_t>(text.size());
    if (written) return {};
    return host_fail(errno, "write the control group's " + quote_name(path), kCpuRemedy);
}

Result<void> make_group(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
    return host_fail(errno, "make the control group " + quote_name(path), kCpuRemedy);
}

// Version 2: groups below `directory` get the controller (Linux's admin-guide/cgroup-v2.rst,
// "Enabling and Disabling").
Result<void> pass_cpu_on(const std::string& directory) {
    if (offers_cpu(directory + "/cgroup.subtree_control")) return {};
    return write_control(directory + "/cgroup.subtree_control", "+cpu");
}

// What processes that were killed have left.
void sweep(const std::string& ours) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(ours, ignored)) {
        const std::string name = entry.path().filename();
        int pid = 0;
        if (!name.starts_with(kVmPrefix)) continue;
        std::from_chars(name.data() + kVmPrefix.size(), name.data() + name.size(), pid);
        if (pid > 0 && ::access(fmt::format("/proc/{}", pid).c_str(), F_OK) != 0)
            ::rmdir(entry.path().c_str());
    }
}

std::string joined(const std::string& root, std::string_view path) {
    return path == "/" ? root : root + std::string(path);
}

// Version 2 wants processes in leaves only, but for the root: a group of ours is beside the group
// of this process, or further up.
void add_unified(CgroupPlaces& places, const std::string& root, std::string path) {
    places.own = joined(root, path);
    if (path == "/") places.candidates.push_back({root, true});
    while (path != "/" && !path.empty()) {
        path.resize(std::max<size_t>(path.rfind('/'), 1));
        places.candidates.push_back({joined(root, path), true});
    }
}

}  // namespace

CgroupPlaces cpu_cgroup_places(std::string_view proc_self_cgroup, bool has_unified_cpu,
                               const std::string& root) {
    CgroupPlaces places;
    std::istringstream lines{std::string(proc_self_cgroup)};
    for (std::string line; std::getline(lines, line);) {
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string path = line.substr(second + 1);
        if (!path.starts_with('/')) continue;
        if (controllers.empty() && has_unified_cpu) {
            add_unified(places, root, path);
        } else if (has_word(controllers, "cpu", ',')) {
            places.own = joined(root + "/" + controllers, path);
            places.candidates.push_back({places.own, false});
        }
    }
    return places;
}

Result<std::unique_ptr<CpuCgroup>> CpuCgroup::create() {
    const std::string root = "/sys/fs/cgroup";
    const bool unified_cpu = offers_cpu(root + "/cgroup.controllers");
    return create_in(cpu_cgroup_places(content_of("/proc/self/cgroup"), unified_cpu, root),
                     ::getpid());
}

Result<std::unique_ptr<CpuCgroup>> CpuCgroup::create_in(const CgroupPlaces& places, int pid) {
    Result<std::unique_ptr<CpuCgroup>> made =
        fail(ErrorCode::unsupported,
             fmt::format("control groups: this host has none for CPU time; {}", kCpuRemedy));
    for (const CgroupPlace& place : places.candidates) {
        made = make(places.own, place, pid);
        if (made) break;
    }
    return made;
}

Result<std::unique_ptr<CpuCgroup>> CpuCgroup::make(const std::string& own, const CgroupPlace& place,
                                                   int pid) {
    const std::string ours = place.directory + std::string(kGroupOfOurs);
    if (place.unified) TRY(pass_cpu_on(place.directory));
    TRY(make_group(ours));
    sweep(ours);
    if (place.unified) TRY(pass_cpu_on(ours));
    const std::string directory = fmt::format("{}/{}{}", ours, kVmPrefix, pid);
    TRY(make_group(directory));
    auto group = std::unique_ptr<CpuCgroup>(new CpuCgroup(own, directory, place.unified, pid));
    TRY(group->set_ceiling(std::nullopt));
    TRY(group->write("cgroup.procs", fmt::format("{}", pid)));
    return group;
}

CpuCgroup::~CpuCgroup() {
    [[maybe_unused]] const auto back =
        write_control(own_ + "/cgroup.procs", fmt::format("{}", pid_));
    ::rmdir(directory_.c_str());
    ::rmdir(directory_.substr(0, directory_.rfind('/')).c_str());  // fails while others are there
}

Result<void> CpuCgroup::write(std::string_view file, const std::string& text) const {
    return write_control(fmt::format("{}/{}", directory_, file), text);
}

// Version 1 counts from 2, and 1024 is what a group begins with.
Result<void> CpuCgroup::set_weight(unsigned weight) {
    weight = std::clamp(weight, 1U, kMostWeight);
    if (unified_) return write("cpu.weight", fmt::format("{}", weight));
    return write("cpu.shares", fmt::format("{}", weight * 10));
}

// The period is the kernel's usual one; it takes no quota below a millisecond.
Result<void> CpuCgroup::set_ceiling(std::optional<uint64_t> ceiling) {
    constexpr uint64_t kPeriod = 100'000;
    constexpr uint64_t kLeastQuota = 1000;
    constexpr uint64_t kPeriods = 1'000'000 / kPeriod;
    const uint64_t quota = ceiling ? std::max(*ceiling / kPeriods, kLeastQuota) : 0;
    if (unified_) return write("cpu.max", ceiling ? fmt::format("{} {}", quota, kPeriod) : "max");
    return write("cpu.cfs_quota_us", ceiling ? fmt::format("{}", quota) : "-1");
}

}  // namespace banyan
