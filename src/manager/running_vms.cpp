#include "manager/running_vms.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <optional>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

// Another version of Banyan may have written it.
bool is_well_formed(const RunningVm& vm) {
    const auto is_number = [](const RunningVm& value) { return value.is_number_unsigned(); };
    if (!vm.is_object() || !vm.contains("vcpus")) return false;
    if (!vm.contains("pid") || !is_number(vm["pid"])) return false;
    if (!vm.contains("process_start") || !is_number(vm["process_start"])) return false;
    if (!vm.contains("name") || !vm["name"].is_string()) return false;
    if (!vm.contains("engine") || !vm["engine"].is_string()) return false;
    if (!vm.contains("memory") || !is_number(vm["memory"])) return false;
    if (!vm.contains("seconds") || !vm["seconds"].is_number()) return false;
    const auto are_figures = [&](const RunningVm& list) {
        return list.is_array() && std::all_of(list.begin(), list.end(), [&](const RunningVm& one) {
                   return one.is_object() && std::all_of(one.begin(), one.end(), is_number);
               });
    };
    if (vm.contains("stored") && !vm["stored"].is_string()) return false;
    return are_figures(vm["vcpus"]) && (!vm.contains("nets") || are_figures(vm["nets"]));
}

bool is_alive(const RunningVm& vm) {
    return process_start(pid_of(vm)) == vm["process_start"].get<uint64_t>();
}

// Whose file it is: "12.screen" is of process 12.
std::optional<int> owner_of(std::string_view file) {
    int pid = 0;
    const auto [end, error] = std::from_chars(file.data(), file.data() + file.size(), pid);
    const bool found = error == std::errc{} && end != file.data() + file.size() && *end == '.';
    return found ? std::optional(pid) : std::nullopt;
}

// A VM's figures, and what stands beside them: PID.json, PID.screen, ...
void remove_with_others(const RunDirectory& directory, const std::string& figures) {
    const std::string prefix = figures.substr(0, figures.find('.') + 1);
    for (const std::string& file : directory.names()) {
        if (file.starts_with(prefix)) directory.remove(file);
    }
}

}  // namespace

std::string vm_file(int pid, std::string_view kind) {
    return fmt::format("{}.{}", pid, kind);
}

std::string stored_directory(const RunningVm& vm) {
    return vm.contains("stored") ? vm["stored"].get<std::string>() : std::string();
}

bool is_called(const RunningVm& vm, const std::string& wanted) {
    return vm["name"] == wanted || std::to_string(vm["pid"].get<uint64_t>()) == wanted;
}

int pid_of(const RunningVm& vm) {
    return vm["pid"].get<int>();
}

bool still_runs(const RunDirectory& directory, const RunningVm& vm) {
    if (!is_alive(vm)) return false;
    const std::vector<std::string> files = directory.names();
    return std::ranges::any_of(
        files, [&](const std::string& file) { return owner_of(file) == pid_of(vm); });
}

std::vector<RunningVm> running_vms(const RunDirectory& directory) {
    for (const std::string& file : directory.unfinished()) {
        const auto owner = owner_of(file);
        if (owner && !process_start(*owner)) directory.remove(file);
    }
    std::vector<RunningVm> found;
    for (const std::string& file : directory.names()) {
        const auto owner = owner_of(file);
        // It may have died before it published anything.
        if (owner && !process_start(*owner)) directory.remove(file);
        if (!file.ends_with(".json")) continue;
        const auto content = directory.read(file);
        if (!content) continue;
        auto vm = RunningVm::parse(*content, nullptr, false);
        if (!is_well_formed(vm)) continue;
        if (is_alive(vm)) {
            found.push_back(std::move(vm));
        } else {
            remove_with_others(directory, file);
        }
    }
    std::sort(found.begin(), found.end(), [](const RunningVm& a, const RunningVm& b) {
        return a["pid"].get<uint64_t>() < b["pid"].get<uint64_t>();
    });
    return found;
}

Result<RunningVm> find_vm(const RunDirectory& directory, std::string_view command,
                          const std::string& wanted) {
    std::vector<RunningVm> found = running_vms(directory);
    std::erase_if(found, [&](const RunningVm& vm) { return !is_called(vm, wanted); });
    if (found.size() == 1) return std::move(found[0]);
    return fail(
        ErrorCode::not_found,
        fmt::format("{} {}: {}; banyan list shows those that run", command, quote_name(wanted),
                    found.empty() ? "no VM of this name or process number runs here"
                                  : "several VMs have this name, give a process number"));
}

}  // namespace banyan
