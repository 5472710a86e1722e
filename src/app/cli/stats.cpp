#include "app/cli/stats.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "app/cli/statistics_text.hpp"
#include "host/posix/host_error.hpp"
#include "manager/running_vms.hpp"

namespace banyan {

namespace {

std::string printable(std::string text) {
    for (char& c : text) {
        if (c < 0x20 || c == 0x7F) c = '?';
    }
    return text;
}

// The result points into `vm`.
Statistics sum_of_vcpus(const RunningVm& vm) {
    std::vector<Statistics> vcpus;
    for (const RunningVm& vcpu : vm["vcpus"]) {
        Statistics& figures = vcpus.emplace_back();
        for (const auto& [name, value] : vcpu.items())
            figures.push_back({name, value.get<uint64_t>()});
    }
    return sum_of(vcpus);
}

// Of one network card: what is not 0.
std::string net_line(const RunningVm& net, size_t index) {
    std::string line;
    for (const auto& [name, value] : net.items()) {
        if (value.get<uint64_t>() == 0) continue;
        std::string words = name.starts_with("net_") ? name.substr(4) : name;
        std::replace(words.begin(), words.end(), '_', ' ');
        line += fmt::format("{} {} {}", line.empty() ? "" : ",", words, value.get<uint64_t>());
    }
    return fmt::format("net {}:{}", index, line.empty() ? " nothing yet" : line);
}

std::string text_of(const RunningVm& vm) {
    std::string text = fmt::format(
        "{}: pid {}, engine {}, {} CPU{}, {:.0f} s\n", printable(vm["name"].get<std::string>()),
        vm["pid"].get<uint64_t>(), printable(vm["engine"].get<std::string>()), vm["vcpus"].size(),
        vm["vcpus"].size() == 1 ? "" : "s", vm["seconds"].get<double>());
    for (const std::string& line : statistics_table(sum_of_vcpus(vm)))
        text += "  " + printable(line) + "\n";
    const RunningVm nets = vm.value("nets", RunningVm::array());
    for (size_t i = 0; i < nets.size(); ++i)
        text += "  " + printable(net_line(nets[i], i)) + "\n";
    return text;
}

Result<std::vector<RunningVm>> find(const RunDirectory& directory, const std::string& wanted) {
    std::vector<RunningVm> vms = running_vms(directory);
    if (wanted.empty()) return vms;
    std::erase_if(vms, [&](const RunningVm& vm) { return !is_called(vm, wanted); });
    if (!vms.empty()) return vms;
    return fail(ErrorCode::not_found,
                fmt::format("stats {}: no VM of this name or process number runs here; banyan "
                            "stats shows those that run",
                            quote_name(wanted)));
}

}  // namespace

Result<std::string> stats_text(const RunDirectory& directory, const std::string& wanted) {
    TRY_ASSIGN(vms, find(directory, wanted));
    if (vms.empty()) return "no VM is running\n";
    std::string text;
    for (const RunningVm& vm : vms)
        text += text_of(vm);
    return text;
}

Result<std::string> stats_json(const RunDirectory& directory, const std::string& wanted) {
    TRY_ASSIGN(vms, find(directory, wanted));
    RunningVm list = RunningVm::array();
    for (RunningVm& vm : vms)
        list.push_back(std::move(vm));
    return list.dump(2) + "\n";
}

}  // namespace banyan
