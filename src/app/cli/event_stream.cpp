#include "app/cli/event_stream.hpp"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <map>
#include <poll.h>
#include <vector>

#include "app/cli/cli.hpp"
#include "app/cli/print.hpp"
#include "host/linux/stderr_log.hpp"
#include "manager/vm_actions.hpp"

namespace banyan {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kLookAgainMs = 500;  // for VMs that begin
constexpr QmpClient::Patience kPatience{2'000};

int64_t number_in(const Json& json, const char* group, const char* name) {
    const auto found = json.find(group);
    if (found == json.end() || !found->is_object()) return 0;
    const auto value = found->find(name);
    return value != found->end() && value->is_number_integer() ? value->get<int64_t>() : 0;
}

std::string time_text(int64_t seconds, int64_t microseconds) {
    const time_t time = seconds;
    tm parts{};
    ::gmtime_r(&time, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       microseconds / 1000);
}

// VMs that are listened to.
class EventStream {
public:
    EventStream(const RunDirectory& directory, bool as_json)
        : directory_(directory), as_json_(as_json) {}

    Result<void> add(const RunningVm& vm) {
        TRY_ASSIGN(client, connect_to(directory_, vm, kPatience));
        sources_.emplace(pid_of(vm), Source{vm["name"].get<std::string>(), std::move(client)});
        return {};
    }
    void add_new_ones() {
        for (const RunningVm& vm : running_vms(directory_)) {
            // One that cannot be asked yet is looked at again.
            if (!sources_.contains(pid_of(vm))) (void)add(vm);
        }
    }
    bool empty() const { return sources_.empty(); }

    // False: the output is closed.
    bool print_some() {
        wait();
        for (auto at = sources_.begin(); at != sources_.end();) {
            const auto event = at->second.client.next_event(QmpClient::Patience(0));
            // After an event there may be another one here.
            if (!event) {
                at = sources_.erase(at);
            } else if (!*event) {
                ++at;
            } else if (!print(at->second.name, **event)) {
                return false;
            }
        }
        return true;
    }

private:
    struct Source {
        std::string name;
        QmpClient client;
    };

    void wait() const {
        std::vector<pollfd> waited;
        for (const auto& [pid, source] : sources_)
            waited.push_back({source.client.handle(), POLLIN, 0});
        ::poll(waited.data(), waited.size(), kLookAgainMs);
    }
    bool print(const std::string& name, const Json& event) const {
        if (!as_json_) return print_output(event_text(name, event)) == 0;
        Json line{{"vm", name}};
        line.update(event);
        return print_output(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n") == 0;
    }

    const RunDirectory& directory_;
    const bool as_json_;
    std::map<int, Source> sources_;  // by process
};

}  // namespace

std::string event_text(const std::string& name, const Json& event) {
    std::string text = time_text(number_in(event, "timestamp", "seconds"),
                                 number_in(event, "timestamp", "microseconds"));
    const auto kind = event.find("event");
    text += fmt::format(" {} {}", name,
                        kind != event.end() && kind->is_string() ? kind->get<std::string>() : "?");
    const auto data = event.find("data");
    if (data != event.end() && data->is_object()) {
        for (const auto& [key, value] : data->items()) {
            // Banyan's own members go by their own names among people.
            constexpr std::string_view kOwn = "__org.banyan_";
            const std::string_view shown =
                key.starts_with(kOwn) ? std::string_view(key).substr(kOwn.size()) : key;
            text += fmt::format(" {}={}", shown,
                                value.dump(-1, ' ', true, Json::error_handler_t::replace));
        }
    }
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    }
    return text + "\n";
}

int print_events(const RunDirectory& directory, const std::string& wanted, bool as_json) {
    EventStream stream(directory, as_json);
    if (wanted.empty()) {
        do
            stream.add_new_ones();
        while (stream.print_some());
        return kStatusFailed;
    }
    const auto vm = find_vm(directory, "events", wanted);
    const auto added = vm ? stream.add(*vm) : tl::unexpected(vm.error());
    if (!added) {
        print_message(added.error().text());
        return kStatusFailed;
    }
    while (!stream.empty()) {
        if (!stream.print_some()) return kStatusFailed;
    }
    return 0;
}

}  // namespace banyan
