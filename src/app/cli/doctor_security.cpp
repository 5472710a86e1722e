#include "app/cli/doctor_security.hpp"

#include <array>
#include <dirent.h>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <unistd.h>
#include <vector>

#include "host/sandbox/sandbox.hpp"
#include "manager/vm_actions.hpp"

namespace banyan {

namespace {

using Json = nlohmann::ordered_json;

// The value of a line of proc(5)'s status; empty: there is none.
std::string status_of(const std::string& directory, std::string_view name) {
    std::ifstream file(directory + "/status");
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(name) || line[name.size()] != ':') continue;
        const size_t start = line.find_first_not_of(" \t", name.size() + 1);
        return start == std::string::npos ? std::string() : line.substr(start);
    }
    return {};
}

std::vector<std::string> threads_of(const std::string& process) {
    std::vector<std::string> threads;
    const std::string place = process + "/task";
    const std::unique_ptr<DIR, int (*)(DIR*)> list(::opendir(place.c_str()), ::closedir);
    if (list == nullptr) return threads;
    while (const dirent* entry = ::readdir(list.get())) {
        if (entry->d_name[0] != '.') threads.push_back(fmt::format("{}/{}", place, entry->d_name));
    }
    return threads;
}

// Those that share a namespace with this process; null: one may not look.
Json shared_namespaces(const std::string& process) {
    Json shared = Json::array();
    for (const char* kind : {"user", "mnt", "pid", "net", "ipc"}) {
        std::array<char, 64> own{};
        std::array<char, 64> its{};
        const std::string own_name = fmt::format("/proc/self/ns/{}", kind);
        const std::string its_name = fmt::format("{}/ns/{}", process, kind);
        if (::readlink(own_name.c_str(), own.data(), own.size() - 1) < 0 ||
            ::readlink(its_name.c_str(), its.data(), its.size() - 1) < 0)
            return nullptr;
        if (std::string_view(own.data()) == its.data()) shared.push_back(kind);
    }
    return shared;
}

// As one that is not confined is: whatever cannot be read counts as missing.
Json facts_of_process(int pid) {
    const std::string process = fmt::format("/proc/{}", pid);
    const std::vector<std::string> threads = threads_of(process);
    unsigned filtered = 0;
    unsigned without_privileges = 0;
    for (const std::string& thread : threads) {
        if (status_of(thread, "Seccomp") == "2") ++filtered;
        if (status_of(thread, "NoNewPrivs") == "1" &&
            status_of(thread, "CapEff") == "0000000000000000")
            ++without_privileges;
    }
    return {{"pid", pid},
            {"threads", threads.size()},
            {"threads_with_seccomp", filtered},
            {"threads_without_privileges", without_privileges},
            {"capabilities", status_of(process, "CapEff")},
            {"shared_namespaces", shared_namespaces(process)}};
}

Json confinement_of(const RunDirectory& directory, const RunningVm& vm) {
    Json facts{{"name", vm["name"]}};
    facts.update(facts_of_process(pid_of(vm)));
    Json said;
    if (auto client = connect_to(directory, vm)) {
        if (auto answer = client->ask("query-sandbox")) said = std::move(*answer);
    }
    facts["said_by_vm"] = std::move(said);
    return facts;
}

Result<Json> find_facts(const std::string& wanted) {
    TRY_ASSIGN(directory, RunDirectory::open());
    std::vector<RunningVm> vms;
    if (wanted.empty()) {
        vms = running_vms(directory);
    } else {
        TRY_ASSIGN(vm, find_vm(directory, "doctor --security", wanted));
        vms.push_back(std::move(vm));
    }
    const SandboxReport host = sandbox_of_host();
    Json all{{"host",
              {{"seccomp", host.seccomp}, {"landlock", host.landlock}, {"weaker", host.weaker}}}};
    all["vms"] = Json::array();
    for (const RunningVm& vm : vms)
        all["vms"].push_back(confinement_of(directory, vm));
    return all;
}

std::string landlock_text(const Json& version) {
    const int number = version.is_number() ? version.get<int>() : 0;
    return number == 0 ? "none" : fmt::format("version {}", number);
}

std::string vm_text(const Json& vm) {
    const Json& said = vm["said_by_vm"];
    const auto says = [&](const char* name) {
        return said.is_object() && said.contains(name) ? said[name] : Json();
    };
    const Json mode = says("mode");
    std::string text = fmt::format("{}\n", vm["name"].get<std::string>());
    const auto add = [&](std::string_view what, std::string_view value) {
        text += fmt::format("  {:22} {}\n", what, value);
    };
    const auto threads = vm["threads"].get<size_t>();
    add("sandbox", mode.is_string() ? mode.get<std::string>() + ", as it says" : "it does not say");
    add("system calls", fmt::format("filtered on {} of {} threads",
                                    vm["threads_with_seccomp"].get<unsigned>(), threads));
    add("privileges", fmt::format("none, and no new ones, on {} of {} threads; capabilities {}",
                                  vm["threads_without_privileges"].get<unsigned>(), threads,
                                  vm["capabilities"].get<std::string>()));
    add("files (Landlock)", landlock_text(says("landlock")) + ", as it says");
    std::string shared;
    for (const Json& kind : vm["shared_namespaces"])
        shared += (shared.empty() ? "" : ", ") + kind.get<std::string>();
    add("namespaces", vm["shared_namespaces"].is_null() ? "one may not look: ask as root"
                      : shared.empty()                  ? "all its own"
                                                        : "shared with this shell: " + shared);
    return text;
}

}  // namespace

Result<std::string> security_json(const std::string& wanted) {
    TRY_ASSIGN(facts, find_facts(wanted));
    return facts.dump(2) + "\n";
}

Result<std::string> security_text(const std::string& wanted) {
    TRY_ASSIGN(facts, find_facts(wanted));
    const Json& host = facts["host"];
    std::string text = fmt::format("host\n  {:22} {}\n  {:22} {}\n", "system calls",
                                   host["seccomp"].get<bool>() ? "can be filtered" : "no filters",
                                   "files (Landlock)", landlock_text(host["landlock"]));
    if (const auto weaker = host["weaker"].get<std::string>(); !weaker.empty())
        text += fmt::format("  {:22} {}\n", "missing", weaker);
    for (const Json& vm : facts["vms"])
        text += vm_text(vm);
    return text;
}

}  // namespace banyan
