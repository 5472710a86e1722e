#include "app/cli/vnc_service.hpp"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "app/cli/values.hpp"
#include "host/linux/helper_program.hpp"
#include "host/linux/run_directory.hpp"
#include "host/linux/socket_address.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

tl::unexpected<Error> wrong_display(std::string_view text, std::string_view why) {
    return fail(ErrorCode::invalid_argument, fmt::format("--display {}: {}; give none or "
                                                         "vnc[=ADDR:PORT][,password=FILE]",
                                                         quote_name(text), why));
}

}  // namespace

Result<VncChoice> parse_vnc(std::string_view text) {
    constexpr std::string_view kVnc = "vnc";
    constexpr std::string_view kAt = "vnc=";
    VncChoice choice;
    TRY_ASSIGN(parts, parse_settings("--display", text));
    if (parts.file.starts_with(kAt)) {
        const auto address = parse_socket_address(parts.file.substr(kAt.size()));
        if (!address || !address->path.empty())
            return wrong_display(text, "that is no address with a port");
        TRY_ASSIGN(port, parse_number("--display vnc", address->port, 0xFFFF));
        choice.host = address->host;
        choice.first_port = choice.last_port = static_cast<uint16_t>(port);
    } else if (parts.file != kVnc) {
        return wrong_display(text, "there is no such display");
    }
    for (const auto& [key, value] : parts.settings) {
        if (key != "password" || value.empty())
            return wrong_display(text, fmt::format("it has no setting {}", quote_name(key)));
        choice.password_file = value;
    }
    return choice;
}

Result<std::unique_ptr<VncService>> VncService::start(Poller& poller, VmApi& vm,
                                                      const std::string& name,
                                                      const VncChoice& choice) {
    if (vm.display() == nullptr) {
        return fail(ErrorCode::invalid_argument,
                    "--display vnc: the VM has no screen; use --machine pc or --vga on");
    }
    TRY_ASSIGN(directory, RunDirectory::open());
    const std::string socket = fmt::format("{}/{}.vnc", directory.path(), ::getpid());
    auto service = std::unique_ptr<VncService>(new VncService());
    TRY_ASSIGN(screen, ScreenService::start(poller, vm, socket));
    service->screen_ = std::move(screen);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return host_fail(errno, "--display vnc", "raise the limit of open files (ulimit -n)");
    const UniqueFd place_from(ends[0]);
    UniqueFd place_to(ends[1]);
    std::vector<std::string> arguments{helper_path("banyan-vnc"),
                                       socket,
                                       name,
                                       choice.host,
                                       std::to_string(choice.first_port),
                                       std::to_string(choice.last_port)};
    if (!choice.password_file.empty()) arguments.push_back(choice.password_file);
    TRY_ASSIGN(helper, start_helper("--display vnc", arguments, place_to.get()));
    service->helper_ = helper;
    place_to.reset();
    const std::string place = first_line_of_helper(place_from.get());
    if (place.empty()) {
        return fail(ErrorCode::io,
                    "--display vnc: the VNC server ended at its start; see its message above");
    }
    print_message(fmt::format("display: VNC clients find it at {}", place));
    return service;
}

VncService::~VncService() {
    screen_.reset();
    if (helper_ < 0) return;
    ::kill(helper_, SIGTERM);
    retry_interrupted([&] { return ::waitpid(helper_, nullptr, 0); });
}

}  // namespace banyan
