#include "app/cli/running_vms.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace banyan {

namespace {

constexpr std::string_view kSuffix = ".json";

// Another version of Banyan may have written it.
bool is_well_formed(const RunningVm& vm) {
    const auto is_number = [](const RunningVm& value) { return value.is_number_unsigned(); };
    if (!vm.is_object() || !vm.contains("vcpus")) return false;
    if (!vm.contains("pid") || !is_number(vm["pid"])) return false;
    if (!vm.contains("process_start") || !is_number(vm["process_start"])) return false;
    if (!vm.contains("name") || !vm["name"].is_string()) return false;
    if (!vm.contains("engine") || !vm["engine"].is_string()) return false;
    if (!vm.contains("seconds") || !vm["seconds"].is_number()) return false;
    const auto are_figures = [&](const RunningVm& list) {
        return list.is_array() && std::all_of(list.begin(), list.end(), [&](const RunningVm& one) {
                   return one.is_object() && std::all_of(one.begin(), one.end(), is_number);
               });
    };
    return are_figures(vm["vcpus"]) && (!vm.contains("nets") || are_figures(vm["nets"]));
}

RunningVm figures_of(const std::vector<Statistics>& all) {
    RunningVm list = RunningVm::array();
    for (const Statistics& figures : all) {
        RunningVm& object = list.emplace_back(RunningVm::object());
        for (const Statistic& one : figures)
            object[std::string(one.name)] = one.value;
    }
    return list;
}

// A VM's figures, and the sockets that stand beside them: PID.json, PID.screen, ...
void remove_with_sockets(const RunDirectory& directory, const std::string& figures) {
    const std::string prefix = figures.substr(0, figures.size() - kSuffix.size()) + ".";
    for (const std::string& file : directory.names()) {
        if (file.starts_with(prefix)) directory.remove(file);
    }
}

bool is_alive(const RunningVm& vm) {
    return process_start(vm["pid"].get<int>()) == vm["process_start"].get<uint64_t>();
}

}  // namespace

PublishedVm::PublishedVm(RunDirectory directory, std::string name)
    : directory_(std::move(directory)),
      name_(std::move(name)),
      file_(fmt::format("{}{}", ::getpid(), kSuffix)) {}

PublishedVm::~PublishedVm() {
    directory_.remove(file_);
}

Result<void> PublishedVm::publish(const VmApi& vm, double seconds) const {
    RunningVm json{{"name", name_},
                   {"pid", static_cast<unsigned>(::getpid())},
                   {"process_start", process_start(::getpid()).value_or(0)},
                   {"engine", vm.engine_name()},
                   {"seconds", seconds},
                   {"vcpus", figures_of(vm.statistics())},
                   {"nets", figures_of(vm.net_statistics())}};
    return directory_.write(file_, json.dump(2) + "\n");
}

bool is_called(const RunningVm& vm, const std::string& wanted) {
    return vm["name"] == wanted || std::to_string(vm["pid"].get<uint64_t>()) == wanted;
}

std::vector<RunningVm> running_vms(const RunDirectory& directory) {
    std::vector<RunningVm> found;
    for (const std::string& file : directory.names()) {
        const auto content = directory.read(file);
        if (!content || !file.ends_with(kSuffix)) continue;
        auto vm = RunningVm::parse(*content, nullptr, false);
        if (!is_well_formed(vm)) continue;
        if (is_alive(vm)) {
            found.push_back(std::move(vm));
        } else {
            remove_with_sockets(directory, file);
        }
    }
    std::sort(found.begin(), found.end(), [](const RunningVm& a, const RunningVm& b) {
        return a["pid"].get<uint64_t>() < b["pid"].get<uint64_t>();
    });
    return found;
}

}  // namespace banyan
