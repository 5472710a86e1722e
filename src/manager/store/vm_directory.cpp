#include "manager/store/vm_directory.hpp"

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/linux/run_directory.hpp"

namespace banyan {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kEndingFile = "ending.json";

bool has_text(const Json& json, const char* name) {
    return json.contains(name) && json[name].is_string();
}

bool has_number(const Json& json, const char* name) {
    return json.contains(name) && json[name].is_number_integer();
}

// A process may have been killed while it wrote, and others may have written.
bool is_ending(const Json& json) {
    return json.is_object() && has_number(json, "pid") && has_number(json, "process_start") &&
           has_text(json, "boot") && has_number(json, "status") && has_text(json, "reason") &&
           has_text(json, "message") && has_number(json, "when");
}

}  // namespace

int64_t seconds_since_1970() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

Result<void> write_ending(const std::string& directory, const VmProcess& process,
                          const StoredEnding& ending) {
    TRY_ASSIGN(place, RunDirectory::open_at(directory));
    const Json json{{"pid", process.pid},      {"process_start", process.start},
                    {"boot", process.boot},    {"status", ending.status},
                    {"reason", ending.reason}, {"message", ending.message},
                    {"when", ending.when}};
    return place.write(kEndingFile,
                       json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::optional<StoredEnding> read_ending(const std::string& directory, const VmProcess& process) {
    std::error_code error;
    if (!std::filesystem::is_directory(directory, error)) return {};  // to open is to make it
    const auto place = RunDirectory::open_at(directory);
    const auto text = place ? place->read(kEndingFile) : std::nullopt;
    if (!text) return {};
    const Json json = Json::parse(*text, nullptr, false);
    if (!is_ending(json)) return {};
    const VmProcess of{json["pid"].get<int>(), json["process_start"].get<uint64_t>(),
                       json["boot"].get<std::string>()};
    if (of != process) return {};
    return StoredEnding{json["status"].get<int>(), json["reason"].get<std::string>(),
                        json["message"].get<std::string>(), json["when"].get<int64_t>()};
}

StoredEnding ending_of_dead(const std::string& directory, const VmProcess& process) {
    if (auto left = read_ending(directory, process)) return *left;
    if (!is_of_this_boot(process)) {
        return {kKilledStatus, std::string(kHostRestarted), "the host was restarted while it ran",
                0};
    }
    return {kKilledStatus, std::string(kProcessKilled),
            "its process was killed or crashed; see the host's log, it may be out of memory",
            seconds_since_1970()};
}

}  // namespace banyan
