#include "app/cli/published_vm.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

#include "host/posix/host_error.hpp"
#include "manager/running_vms.hpp"

namespace banyan {

namespace {

RunningVm figures_of(const std::vector<Statistics>& all) {
    RunningVm list = RunningVm::array();
    for (const Statistics& figures : all) {
        RunningVm& object = list.emplace_back(RunningVm::object());
        for (const Statistic& one : figures)
            object[std::string(one.name)] = one.value;
    }
    return list;
}

}  // namespace

Result<std::unique_ptr<PublishedVm>> PublishedVm::create(RunDirectory directory, const VmApi& vm,
                                                         const ResourceService& resources,
                                                         const std::string& stored) {
    const std::string& name = vm.config().name;
    // So that of two that start at once one sees the other.
    TRY_ASSIGN(lock, directory.lock());
    for (const RunningVm& other : running_vms(directory)) {
        if (other["name"] != name || pid_of(other) == ::getpid()) continue;
        return fail(ErrorCode::busy,
                    fmt::format("--name {}: a VM of this name runs already, as process {}; give "
                                "another name, or end that one by banyan stop",
                                quote_name(name), pid_of(other)));
    }
    TRY(resources.admit(directory));
    auto published = std::unique_ptr<PublishedVm>(new PublishedVm(std::move(directory), stored));
    TRY(published->publish(vm, resources, 0));
    return published;
}

PublishedVm::PublishedVm(RunDirectory directory, std::string stored)
    : directory_(std::move(directory)),
      file_(vm_file(::getpid(), kFigures)),
      stored_(std::move(stored)),
      process_start_(process_start(::getpid()).value_or(0)) {}

PublishedVm::~PublishedVm() {
    directory_.remove(file_);
}

Result<void> PublishedVm::publish(const VmApi& vm, const ResourceService& resources,
                                  double seconds) const {
    RunningVm json{{"name", vm.config().name},
                   {"pid", static_cast<unsigned>(::getpid())},
                   {"process_start", process_start_},
                   {"engine", vm.engine_name()},
                   {"memory", vm.config().memory},
                   {"seconds", seconds},
                   {"vcpus", figures_of(vm.statistics())},
                   {"nets", figures_of(vm.net_statistics())},
                   {"resources", resources.facts()}};
    if (!stored_.empty()) json["stored"] = stored_;
    return directory_.write(file_, json.dump(2) + "\n");
}

}  // namespace banyan
