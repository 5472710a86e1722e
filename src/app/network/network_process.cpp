#include "app/network/network_process.hpp"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <vector>

#include "host/linux/helper_program.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"
#include "network/port/port_handshake.hpp"

namespace banyan {

namespace {

constexpr int kAnswerMs = 5000;
constexpr size_t kLargestMessage = 64 * 1024;
constexpr std::string_view kReady = "ready";

// A socket that the network has accepted, with a request on it.
UniqueFd ask_network(const std::string& path, const PortHello& request) {
    const UnixAddress address(path);
    if (!address.valid()) return {};
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const HelloBytes hello = encode(request);
    if (!socket.valid() || ::connect(socket.get(), address.get(), address.size()) != 0 ||
        ::send(socket.get(), hello.data(), hello.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(hello.size()))
        return {};
    return socket;
}

// All messages until the end; nothing if it does not come.
std::optional<std::string> read_to_end(int socket) {
    std::string text;
    std::vector<char> message(kLargestMessage);
    for (;;) {
        pollfd waited{socket, POLLIN, 0};
        if (::poll(&waited, 1, kAnswerMs) <= 0) return {};
        const ssize_t count =
            retry_interrupted([&] { return ::recv(socket, message.data(), message.size(), 0); });
        if (count == 0) return text;
        if (count < 0) return {};
        text.append(message.data(), static_cast<size_t>(count));
    }
}

bool accepts_members(const std::string& path) {
    const UniqueFd socket = ask_network(path, {.request = PortRequest::report});
    return socket.valid() && read_to_end(socket.get()).has_value();
}

}  // namespace

NetworkPaths network_paths(const RunDirectory& directory, const std::string& name) {
    const std::string stem = fmt::format("{}/network-{}", directory.path(), name);
    return {stem + ".port", stem + ".stream", stem + ".lock", stem + ".log"};
}

// The helper leaves this process's family, and what was started here ends at once.
Result<void> start_network(const RunDirectory& directory, const std::string& name,
                           const std::string& program) {
    const NetworkPaths paths = network_paths(directory, name);
    if (accepts_members(paths.port)) return {};
    std::array<int, 2> ends{};
    const std::string what = fmt::format("start the network {}", quote_name(name));
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return host_fail(errno, what, "raise the limit of open files (ulimit -n)");
    const UniqueFd from(ends[0]);
    UniqueFd to(ends[1]);
    const UniqueFd log(
        ::open(paths.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!log.valid()) return host_fail(errno, what, "free space there");
    TRY_ASSIGN(helper, start_helper(what, {program, name}, to.get(), log.get()));
    to.reset();
    const std::string said = first_line_of_helper(from.get());
    retry_interrupted([&] { return ::waitpid(helper, nullptr, 0); });
    // Another one may have started it meanwhile.
    if (said == kReady || accepts_members(paths.port)) return {};
    return fail(ErrorCode::io,
                fmt::format("{}: {}", what,
                            said.empty() ? "it ended at its start; see " + paths.log : said));
}

std::optional<std::string> network_report(const RunDirectory& directory, const std::string& name) {
    const UniqueFd socket =
        ask_network(network_paths(directory, name).port, {.request = PortRequest::report});
    if (!socket.valid()) return {};
    return read_to_end(socket.get());
}

std::string capture_socket(const RunDirectory& directory, int pid) {
    return fmt::format("{}/{}.capture", directory.path(), pid);
}

Result<void> capture_network(const RunDirectory& directory, const std::string& name,
                             const std::string& member) {
    const UniqueFd socket = ask_network(network_paths(directory, name).port,
                                        {.request = PortRequest::capture, .name = member});
    const auto said = socket.valid() ? read_to_end(socket.get()) : std::nullopt;
    if (!said) {
        return fail(ErrorCode::io, fmt::format("capture the network {}: it does not answer; start "
                                               "it by banyan network start",
                                               quote_name(name)));
    }
    if (said->empty()) return {};
    TRY_ASSIGN(welcome, decode_welcome(std::as_bytes(std::span(*said))));
    return fail(ErrorCode::busy, welcome.refusal);
}

Result<void> end_network(const RunDirectory& directory, const std::string& name) {
    const UniqueFd socket =
        ask_network(network_paths(directory, name).port, {.request = PortRequest::end});
    if (!socket.valid() || read_to_end(socket.get())) return {};
    return fail(ErrorCode::io, fmt::format("end the network {}: it does not answer; end the "
                                           "process banyan-switch yourself",
                                           quote_name(name)));
}

}  // namespace banyan
