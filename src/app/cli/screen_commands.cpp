#include "app/cli/screen_commands.hpp"

#include <chrono>
#include <fmt/format.h>
#include <thread>

#include "app/cli/png_file.hpp"
#include "app/screen/screen_client.hpp"
#include "host/linux/run_directory.hpp"
#include "host/posix/host_error.hpp"
#include "manager/running_vms.hpp"

namespace banyan {

namespace {

// A VM serves one client at a time, and each but for a moment.
constexpr unsigned kAttempts = 50;
constexpr std::chrono::milliseconds kPause{20};

tl::unexpected<Error> failed(std::string_view command, const std::string& vm, const Error& error) {
    return fail(error.code(), fmt::format("{} {}: {}", command, quote_name(vm), error.text()));
}

// What `ask` gives; again, while another client is served.
template <class Ask>
auto with_vm(const RunDirectory& directory, std::string_view command, const std::string& vm,
             Ask ask) -> decltype(ask(std::declval<ScreenClient&>())) {
    const auto found = find_vm(directory, command, vm);
    if (!found) return tl::unexpected(found.error());
    for (unsigned attempt = 1;; ++attempt) {
        auto client = ScreenClient::connect(screen_socket(directory.path(), pid_of(*found)));
        if (!client) return failed(command, vm, client.error());
        auto result = ask(*client);
        if (result) return result;
        if (result.error().code() != ErrorCode::io || attempt == kAttempts)
            return failed(command, vm, result.error());
        std::this_thread::sleep_for(kPause);
    }
}

}  // namespace

Result<void> save_screenshot(const RunDirectory& directory, const std::string& vm,
                             const std::string& file) {
    TRY_ASSIGN(frame, with_vm(directory, "screenshot", vm,
                              [](ScreenClient& client) -> Result<DisplayFrame> {
                                  DisplayFrame taken;
                                  TRY(client.update(taken));
                                  return taken;
                              }));
    return write_png(frame, file);
}

Result<std::string> screenshot_text(const RunDirectory& directory, const std::string& vm) {
    return with_vm(directory, "screenshot --text", vm,
                   [](ScreenClient& client) { return client.text(); });
}

Result<void> send_keys(const RunDirectory& directory, const std::string& vm,
                       const std::string& text, const std::vector<std::string>& keys) {
    TRY_ASSIGN(strokes, strokes_of_text(text));
    for (const std::string& key : keys) {
        TRY_ASSIGN(more, strokes_of_keys(key));
        strokes.insert(strokes.end(), more.begin(), more.end());
    }
    size_t next = 0;  // what the VM has is not typed again
    return with_vm(directory, "send-key", vm, [&](ScreenClient& client) -> Result<void> {
        for (; next < strokes.size(); ++next)
            TRY(client.key(strokes[next]));
        return {};
    });
}

}  // namespace banyan
