#include "app/cli/vm_text.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "host/linux/memory_limits.hpp"

namespace banyan {

namespace {

using Json = nlohmann::ordered_json;

std::string without_controls(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    }
    return text;
}

// Null: it is not there.
Json member(const Json& json, const char* name) {
    if (!json.is_object()) return nullptr;
    const auto found = json.find(name);
    return found != json.end() ? *found : Json();
}

std::string text_at(const Json& json, const char* name) {
    const Json value = member(json, name);
    return value.is_string() ? without_controls(value.get<std::string>()) : std::string();
}

uint64_t number_at(const Json& json, const char* name) {
    const Json value = member(json, name);
    return value.is_number_unsigned() ? value.get<uint64_t>() : 0;
}

std::string number_text(const Json& json, const char* name) {
    return std::to_string(number_at(json, name));
}

// Of a summary of a VM that does not run.
std::string ending_of(const Json& vm) {
    const Json last = member(vm, "last");
    const Json status = member(last, "status");
    if (!status.is_number_integer()) return "-";
    return ending_text({status.get<int>(), text_at(last, "reason"), text_at(last, "message")});
}

double seconds_of(const Json& vm) {
    const Json value = member(vm, "uptime_seconds");
    return value.is_number() ? value.get<double>() : 0;
}

std::string disk_text(const Json& disk) {
    const Json counts = member(disk, "counts");
    return fmt::format(
        "  {}: {}, {}, {}{}; {} read, {} written\n", text_at(disk, "name"), text_at(disk, "file"),
        text_at(disk, "format"), readable_size(number_at(disk, "size")),
        member(disk, "read_only") == true ? ", read only" : "",
        readable_size(number_at(counts, "rd_bytes")), readable_size(number_at(counts, "wr_bytes")));
}

}  // namespace

std::string duration_text(double seconds) {
    constexpr uint64_t kMinute = 60;
    constexpr uint64_t kHour = 60 * kMinute;
    constexpr uint64_t kDay = 24 * kHour;
    const auto whole = static_cast<uint64_t>(std::max(seconds, 0.0));
    if (whole < kMinute) return fmt::format("{} s", whole);
    if (whole < kHour) return fmt::format("{} min {} s", whole / kMinute, whole % kMinute);
    if (whole < kDay) return fmt::format("{} h {} min", whole / kHour, whole % kHour / kMinute);
    return fmt::format("{} d {} h", whole / kDay, whole % kDay / kHour);
}

// What a VM that does not run has not is shown as -; instead of how long it runs, how it ended.
std::string list_text(const Json& vms) {
    constexpr std::string_view kRow = "{:<20} {:>8}  {:<10} {:<7} {:>4} {:>9}  {}\n";
    std::string text =
        fmt::format(kRow, "NAME", "PID", "STATE", "ENGINE", "CPUS", "MEMORY", "UPTIME");
    for (const Json& vm : vms) {
        const bool runs = member(vm, "uptime_seconds").is_number();
        text += fmt::format(kRow, text_at(vm, "name"), runs ? number_text(vm, "pid") : "-",
                            text_at(vm, "state"), text_at(vm, "engine"), number_at(vm, "cpus"),
                            readable_size(number_at(vm, "memory")),
                            runs ? duration_text(seconds_of(vm)) : ending_of(vm));
    }
    return text;
}

std::string show_text(const Json& facts) {
    std::string text = fmt::format(
        "name: {}\npid: {}\nstate: {}\nengine: {}\ncpus: {}\nmemory: {}\nuptime: {}\nuuid: {}\n"
        "control: {}\nconsole: {}\n",
        text_at(facts, "name"), number_at(facts, "pid"), text_at(facts, "state"),
        text_at(facts, "engine"), number_at(facts, "cpus"),
        readable_size(number_at(facts, "memory")), duration_text(seconds_of(facts)),
        text_at(facts, "uuid"), text_at(facts, "control"), text_at(facts, "console"));
    const Json disks = member(facts, "disks");
    if (!disks.empty()) text += "disks:\n";
    for (const Json& disk : disks)
        text += disk_text(disk);
    const Json ports = member(facts, "published");
    if (!ports.empty()) text += "published:\n";
    for (const Json& port : ports) {
        if (port.is_string())
            text += fmt::format("  {}\n", without_controls(port.get<std::string>()));
    }
    return text;
}

std::string devices_text(const Json& devices) {
    constexpr std::string_view kRow = "{:<20} {:<5} {:<8} {}\n";
    std::string text = fmt::format(kRow, "ID", "KIND", "STATE", "WHAT");
    for (const Json& device : devices) {
        text += fmt::format(kRow, text_at(device, "id"), text_at(device, "kind"),
                            text_at(device, "state"), text_at(device, "what"));
    }
    return text;
}

std::string stopped_text(const Json& facts) {
    return fmt::format("name: {}\nstate: {}\nengine: {}\ncpus: {}\nmemory: {}\ndirectory: {}\n",
                       text_at(facts, "name"), text_at(facts, "state"), text_at(facts, "engine"),
                       number_at(facts, "cpus"), readable_size(number_at(facts, "memory")),
                       text_at(facts, "directory"));
}

std::string json_text(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ending_text(const VmEnding& ending) {
    if (ending.reason == "guest-shutdown") return "it powered off";
    if (ending.message.empty())
        return fmt::format("it ended with status {} ({})", ending.status,
                           without_controls(ending.reason));
    return fmt::format("it ended with status {}: {}", ending.status,
                       without_controls(ending.message));
}

}  // namespace banyan
